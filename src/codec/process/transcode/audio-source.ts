import { AV_CHANNEL_ORDER_UNSPEC, AV_NOPTS_VALUE, AVERROR_EOF, AVMEDIA_TYPE_AUDIO, type AVSampleFormat } from 'node-av/constants'
import {
  avChannelLayoutDefault,
  avChannelLayoutDescribe,
  avGetSampleFmtName,
  Codec,
  CodecContext,
  FFmpegError,
  Frame,
  Packet,
  PosixError,
  type Stream,
} from 'node-av/lib'
import { AppError } from '#lib/errors.ts'
import { FilterPipe } from './filter-pipe.ts'
import type { MediaInput } from './media-input.ts'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)
/** Sound decoders need some packets before they are exact. */
const preRollMs = 500

export type AudioFormat = {
  readonly sampleRate: number
  /** By FFmpeg's name: `stereo`. */
  readonly layout: string
}

/** Decoded sound of one track in one format, whatever it has on the way; times in samples from the start of the clip. */
export class AudioSource implements Disposable {
  readonly #input: MediaInput
  readonly #stream: Stream
  readonly #format: AudioFormat
  readonly #startMs: number
  readonly #decoder = new CodecContext()
  readonly #packet = new Packet()
  readonly #frame = new Frame()
  #pipe: FilterPipe | undefined
  #pipeFormat = ''
  #nextSample: number | undefined
  #isEnding = false

  /** `track` counts the audio tracks from 0. Throws `UNSUPPORTED` when there is none, `CODEC_UNSUPPORTED` when it cannot be decoded. */
  constructor(input: MediaInput, { track, startMs, format }: { track: number; startMs: number; format: AudioFormat }) {
    const stream = input.streams.filter(({ codecpar }) => codecpar.codecType === AVMEDIA_TYPE_AUDIO)[track]
    if (!stream) throw new AppError('UNSUPPORTED', `the source has no audio track ${track}; they are counted from 0`)
    this.#input = input
    this.#stream = stream
    this.#format = format
    this.#startMs = startMs
    input.select(stream)
    this.#packet.alloc()
    this.#frame.alloc()
    this.#openDecoder()
  }

  /** Goes to just before the clip. Must come before the first `next`. */
  async seek(): Promise<void> {
    const { startTime } = this.#stream
    const wantedTicks = Math.floor((this.#startMs - preRollMs) / 1000 / this.#tickSeconds)
    const firstTicks = startTime === AV_NOPTS_VALUE ? 0 : Number(startTime)
    if (wantedTicks <= firstTicks || (await this.#input.seek(this.#stream, wantedTicks))) return
    await this.#input.seek(this.#stream, firstTicks)
  }

  /** The next block, `undefined` at the end. It is overwritten by the next call. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const ready = this.#pipe?.pull()
      if (ready) return ready
      if (this.#isEnding) return undefined
      const frame = await this.#decode()
      if (frame) this.#push(frame)
      else this.#pipe?.push('in', null)
      this.#isEnding = !frame
    }
  }

  [Symbol.dispose](): void {
    this.#pipe?.[Symbol.dispose]()
    this.#frame.free()
    this.#packet.free()
    this.#decoder.freeContext()
  }

  get #tickSeconds(): number {
    return this.#stream.timeBase.num / this.#stream.timeBase.den
  }

  async #decode(): Promise<Frame | undefined> {
    for (;;) {
      this.#frame.unref()
      const got = this.#decoder.receiveFrameSync(this.#frame)
      if (got >= 0) return this.#frame
      if (got === AVERROR_EOF) return undefined
      if (got !== needsMore) FFmpegError.throwIfError(got, 'decode sound')
      const isThere = await this.#input.read(this.#packet)
      if (isThere && this.#packet.streamIndex !== this.#stream.index) continue
      // A damaged packet leaves a gap, which becomes silence.
      this.#decoder.sendPacketSync(isThere ? this.#packet : null)
    }
  }

  #push(frame: Frame): void {
    const layout =
      frame.channelLayout.order === AV_CHANNEL_ORDER_UNSPEC ? avChannelLayoutDefault(frame.channels) : frame.channelLayout
    frame.channelLayout = layout
    const { sampleRate } = frame
    const options = `time_base=1/${sampleRate}:sample_rate=${sampleRate}:sample_fmt=${sampleFormatOf(frame)}:channel_layout=${avChannelLayoutDescribe(layout)}`
    if (options !== this.#pipeFormat) {
      this.#pipe?.[Symbol.dispose]()
      const { sampleRate: rate, layout: wanted } = this.#format
      this.#pipe = new FilterPipe('audio', `[in]aresample=osr=${rate}:ochl=${wanted}:osf=fltp,asettb=1/${rate}[out]`, {
        in: options,
      })
      this.#pipeFormat = options
      this.#nextSample = undefined
    }
    const time = frame.bestEffortTimestamp
    const sample =
      time === AV_NOPTS_VALUE
        ? this.#nextSample
        : Math.round((Number(time) * this.#tickSeconds - this.#startMs / 1000) * sampleRate)
    if (sample === undefined) return
    this.#nextSample = sample + frame.nbSamples
    frame.pts = BigInt(sample)
    this.#pipe?.push('in', frame)
  }

  #openDecoder(): void {
    const { codecpar, timeBase } = this.#stream
    const codec = Codec.findDecoder(codecpar.codecId)
    if (!codec) throw new AppError('CODEC_UNSUPPORTED', `no decoder for the source's sound, libav codec ${codecpar.codecId}`)
    this.#decoder.allocContext3(codec)
    FFmpegError.throwIfError(this.#decoder.parametersToContext(codecpar), 'set up the decoder')
    this.#decoder.pktTimebase = timeBase
    this.#decoder.threadCount = 1
    FFmpegError.throwIfError(this.#decoder.open2Sync(codec), 'open the decoder')
  }
}

function sampleFormatOf({ format }: Frame): string {
  return (isSampleFormat(format) && avGetSampleFmtName(format)) || 'fltp'
}

function isSampleFormat(format: number): format is AVSampleFormat {
  return format >= 0
}
