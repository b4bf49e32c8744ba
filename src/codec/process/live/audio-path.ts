import { AV_CHANNEL_ORDER_UNSPEC, type AVSampleFormat } from 'node-av/constants'
import {
  avChannelLayoutDefault,
  avChannelLayoutDescribe,
  avGetSampleFmtName,
  type CodecContext,
  type Frame,
  type Packet,
  type Stream,
} from 'node-av/lib'
import type { AudioEncoder } from '#codec/transcoding.ts'
import { FilterPipe } from '../transcode/filter-pipe.ts'
import { LiveDecoder } from './live-decoder.ts'
import { LiveEncoder } from './live-encoder.ts'

const layouts = { 1: 'mono', 2: 'stereo', 6: '5.1' } as const

/** The sound's way: decoded, brought into the encoder's format, encoded. Gaps become silence, so that it stays with the picture. */
export class AudioPath implements Disposable {
  readonly #decoder: LiveDecoder
  readonly #encoder: LiveEncoder
  readonly #filters: string
  #pipe: FilterPipe | undefined
  #format = ''

  constructor(stream: Stream, audio: AudioEncoder) {
    using stack = new DisposableStack()
    this.#decoder = stack.use(new LiveDecoder(stream))
    this.#encoder = LiveEncoder.audio(audio)
    const format = audio.codec === 'aac' ? 'fltp' : 'flt'
    const samples = audio.codec === 'aac' ? 1024 : 960
    const resample = `aresample=osr=${audio.sampleRate}:ochl=${layouts[audio.channels]}:osf=${format}:async=1000`
    this.#filters = `[in]${resample},asettb=1/${audio.sampleRate},asetnsamples=n=${samples}:p=0[out]`
    stack.move()
  }

  get context(): CodecContext {
    return this.#encoder.context
  }

  /** As that of `VideoPath`. */
  *take(packet: Packet, zeroSeconds: number): Generator<Packet> {
    for (const { frame, seconds } of this.#decoder.decode(packet)) {
      if (seconds < zeroSeconds) continue
      const pipe = this.#pipeFor(frame)
      frame.pts = BigInt(Math.round((seconds - zeroSeconds) * frame.sampleRate))
      pipe.push('in', frame)
      for (let ready = pipe.pull(); ready; ready = pipe.pull()) yield* this.#encoder.encode(ready)
    }
  }

  [Symbol.dispose](): void {
    this.#pipe?.[Symbol.dispose]()
    this.#encoder[Symbol.dispose]()
    this.#decoder[Symbol.dispose]()
  }

  #pipeFor(frame: Frame): FilterPipe {
    if (frame.channelLayout.order === AV_CHANNEL_ORDER_UNSPEC) frame.channelLayout = avChannelLayoutDefault(frame.channels)
    const { sampleRate } = frame
    const layout = avChannelLayoutDescribe(frame.channelLayout)
    const format = `time_base=1/${sampleRate}:sample_rate=${sampleRate}:sample_fmt=${sampleFormatOf(frame)}:channel_layout=${layout}`
    if (this.#pipe && format === this.#format) return this.#pipe
    this.#pipe?.[Symbol.dispose]()
    this.#pipe = new FilterPipe('audio', this.#filters, { in: format })
    this.#format = format
    return this.#pipe
  }
}

function sampleFormatOf({ format }: Frame): string {
  return (isSampleFormat(format) && avGetSampleFmtName(format)) || 'fltp'
}

function isSampleFormat(format: number): format is AVSampleFormat {
  return format >= 0
}
