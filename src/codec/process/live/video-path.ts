import { AV_PICTURE_TYPE_NONE } from 'node-av/constants'
import type { CodecContext, Frame, Packet, Stream } from 'node-av/lib'
import type { LiveOrder, Rational } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { pixelFormatOf } from '../transcode/encoder-options.ts'
import { bufferOptions, FilterPipe } from '../transcode/filter-pipe.ts'
import { LiveDecoder } from './live-decoder.ts'
import { LiveDeinterlacer } from './live-deinterlacer.ts'
import { LiveEncoder, videoClockHz } from './live-encoder.ts'
import { Thinning } from './thinning.ts'

const timeBase = { num: 1, den: videoClockHz }
const usualRate = { num: 25, den: 1 }
const maxRate = 120

/** The picture's way: decoded, made whole, thinned out, scaled, encoded. A source may change its size; the rendition keeps its own. */
export class VideoPath implements Disposable {
  readonly #decoder: LiveDecoder
  readonly #encoder: LiveEncoder
  readonly #filters: string
  readonly #deinterlacer: LiveDeinterlacer | undefined
  readonly #thinning: Thinning
  #pipe: FilterPipe | undefined
  #format = ''
  #lastTicks = -1

  constructor(stream: Stream, { video, picture }: Pick<LiveOrder, 'video' | 'picture'>) {
    if (video.codec !== 'h264' && video.codec !== 'h265') {
      throw new AppError('CODEC_UNSUPPORTED', `a live rendition cannot be published as ${video.codec}; use h264 or h265`)
    }
    using stack = new DisposableStack()
    this.#decoder = stack.use(new LiveDecoder(stream))
    this.#deinterlacer = picture.deinterlace ? stack.use(new LiveDeinterlacer(timeBase)) : undefined
    this.#thinning = new Thinning(frameRateOf(stream), picture.maxFrameRate)
    this.#encoder = LiveEncoder.video(video, { ...picture, frameRate: this.#thinning.frameRate })
    this.#filters = `[in]scale=w=${picture.width}:h=${picture.height}:flags=bilinear,format=${pixelFormatOf(video)},setsar=1[out]`
    stack.move()
  }

  get context(): CodecContext {
    return this.#encoder.context
  }

  /** What a packet of the source becomes; `zeroSeconds` is the time of the source at which the rendition begins. Each is valid until the next. */
  *take(packet: Packet, zeroSeconds: number): Generator<Packet> {
    for (const { frame, seconds } of this.#decoder.decode(packet)) {
      const ticks = Math.round((seconds - zeroSeconds) * videoClockHz)
      // A picture that is late or comes twice would make the times go back.
      if (ticks <= this.#lastTicks) continue
      this.#lastTicks = ticks
      frame.pts = BigInt(ticks)
      const whole = this.#deinterlacer ? this.#deinterlacer.take(frame) : frame
      if (!whole || !this.#thinning.takes(Number(whole.pts) / videoClockHz)) continue
      const scaled = this.#scale(whole)
      if (!scaled) continue
      scaled.pictType = AV_PICTURE_TYPE_NONE
      yield* this.#encoder.encode(scaled)
    }
  }

  [Symbol.dispose](): void {
    this.#pipe?.[Symbol.dispose]()
    this.#deinterlacer?.[Symbol.dispose]()
    this.#encoder[Symbol.dispose]()
    this.#decoder[Symbol.dispose]()
  }

  #scale(frame: Frame): Frame | undefined {
    const format = bufferOptions(frame, timeBase)
    if (!this.#pipe || format !== this.#format) {
      this.#pipe?.[Symbol.dispose]()
      this.#pipe = new FilterPipe('video', this.#filters, { in: format })
      this.#format = format
    }
    this.#pipe.push('in', frame)
    return this.#pipe.pull()
  }
}

function frameRateOf({ avgFrameRate, rFrameRate }: Stream): Rational {
  const found = [avgFrameRate, rFrameRate].find(({ num, den }) => num > 0 && den > 0 && num / den <= maxRate)
  return found ? { num: found.num, den: found.den } : usualRate
}
