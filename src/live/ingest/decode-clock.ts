import { H264DtsExtractor } from '#formats/h264/dts-extractor.ts'
import { parseH264Sps } from '#formats/h264/sps.ts'
import { H265DtsExtractor } from '#formats/h265/dts-extractor.ts'
import { parseH265Sps } from '#formats/h265/sps.ts'
import type { CodecParameters } from '#formats/media/track.ts'
import type { RtpTrackDescription } from '#formats/rtp/track-description.ts'

/** Decode times of one track, from presentation times in decode order; where one comes out above its presentation time, that is to be raised. */
export interface DecodeClock {
  /** Takes the parameters of the following units; parameter sets that depacketizers have checked. */
  configure(parameters: CodecParameters): void
  next(ptsTicks: number, data: Buffer): number
}

/** A step back of more than this is another timeline. */
const jumpBackSeconds = 1

export function createDecodeClock({ parameters, clockRateHz }: RtpTrackDescription): DecodeClock {
  switch (parameters.codec) {
    case 'h264':
      return new H264DecodeClock(clockRateHz)
    case 'h265':
      return new H265DecodeClock(clockRateHz)
    case 'aac':
    case 'opus':
    case 'pcma':
    case 'pcmu':
      return new AudioDecodeClock(clockRateHz)
    default:
      return parameters satisfies never
  }
}

class H264DecodeClock implements DecodeClock {
  readonly #extractor: H264DtsExtractor

  constructor(clockRateHz: number) {
    this.#extractor = new H264DtsExtractor(clockRateHz)
  }

  configure(parameters: CodecParameters): void {
    if (parameters.codec === 'h264') this.#extractor.configure(parseH264Sps(parameters.sps))
  }

  next(ptsTicks: number, data: Buffer): number {
    return this.#extractor.next(ptsTicks, data)
  }
}

class H265DecodeClock implements DecodeClock {
  readonly #extractor: H265DtsExtractor

  constructor(clockRateHz: number) {
    this.#extractor = new H265DtsExtractor(clockRateHz)
  }

  configure(parameters: CodecParameters): void {
    if (parameters.codec === 'h265') this.#extractor.configure(parseH265Sps(parameters.sps))
  }

  next(ptsTicks: number): number {
    return this.#extractor.next(ptsTicks)
  }
}

/** Audio is decoded when it is heard; only steps back by a little, of clocks that are set, have to be evened out. */
class AudioDecodeClock implements DecodeClock {
  readonly #jumpBackTicks: number
  #lastDts = -Infinity

  constructor(clockRateHz: number) {
    this.#jumpBackTicks = jumpBackSeconds * clockRateHz
  }

  configure(): void {
    // Nothing about audio parameters matters here.
  }

  next(ptsTicks: number): number {
    const isStepBack = ptsTicks <= this.#lastDts && ptsTicks > this.#lastDts - this.#jumpBackTicks
    this.#lastDts = isStepBack ? this.#lastDts + 1 : ptsTicks
    return this.#lastDts
  }
}
