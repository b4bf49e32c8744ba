import {
  AV_PICTURE_TYPE_NONE,
  AV_PIX_FMT_YUV420P,
  AV_SAMPLE_FMT_S16,
  AVERROR_EOF,
  type AVSampleFormat,
  type FFEncoderCodec,
} from 'node-av/constants'
import { avGetSampleFmtName, Codec, CodecContext, FFmpegError, Packet, PosixError, Rational, type Frame } from 'node-av/lib'
import { FilterSource } from './filter-source.ts'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)

/** A track that is made here: frames of a filter graph, encoded. */
export type TrackPlan = {
  readonly kind: 'video' | 'audio'
  /** Filter graph that makes the frames, in FFmpeg's syntax, without a sink. */
  readonly filters: string
  readonly encoder: FFEncoderCodec
  /** Options of the encoder under FFmpeg's names, such as `preset`, `g` (frames between keyframes), `b` (bits per second). */
  readonly encoderOptions: Readonly<Record<string, string>>
  /** The graph is made anew after so many frames: for pictures that die out. */
  readonly restartAfterFrames?: number
  /** The track ends after so many frames. */
  readonly frameCount?: number
  /** Time stamp of the first frame, in ticks of the frame rate or sample rate. */
  readonly firstTicks?: number
  /** Called with each frame before it is encoded; may paint on it. */
  readonly paint?: (frame: Frame) => void
}

/** Makes the packets of one planned track, each when it is asked for. */
export class EncodedTrack implements Disposable {
  readonly plan: TrackPlan
  readonly context = new CodecContext()
  readonly #codec: Codec
  readonly #packet = new Packet()
  #source: FilterSource
  #frames = 0
  #nextTicks: number
  #isFlushing = false

  /** Opens graph and encoder. Throws when one of them refuses. */
  constructor(plan: TrackPlan) {
    this.plan = plan
    this.#nextTicks = plan.firstTicks ?? 0
    const codec = Codec.findEncoderByName(plan.encoder)
    if (!codec) throw new Error(`this FFmpeg build has no encoder "${plan.encoder}"`)
    this.#codec = codec
    this.#source = this.#openSource()
    this.#packet.alloc()
    this.#openEncoder()
  }

  get timeBase(): Rational {
    return this.context.timeBase
  }

  /** Frames that went into the encoder. */
  get frameCount(): number {
    return this.#frames
  }

  /** The next packet in decoding order, in the track's time base; `undefined` at the end. Valid until the next call. */
  next(): Packet | undefined {
    this.#packet.unref()
    for (;;) {
      const got = this.context.receivePacketSync(this.#packet)
      if (got >= 0) return this.#packet
      if (got === AVERROR_EOF) return undefined
      if (got !== needsMore) FFmpegError.throwIfError(got, `encode with ${this.plan.encoder}`)
      this.#feed()
    }
  }

  [Symbol.dispose](): void {
    this.#packet.free()
    this.context.freeContext()
    this.#source[Symbol.dispose]()
  }

  #feed(): void {
    const { frameCount = Infinity, restartAfterFrames = Infinity, paint } = this.plan
    if (this.#frames >= frameCount) {
      if (this.#isFlushing) throw new Error(`${this.plan.encoder} does not end`)
      this.#isFlushing = true
      FFmpegError.throwIfError(this.context.sendFrameSync(null), 'flush the encoder')
      return
    }
    if (this.#frames > 0 && this.#frames % restartAfterFrames === 0) {
      this.#source[Symbol.dispose]()
      this.#source = this.#openSource()
    }
    const frame = this.#source.next()
    frame.pts = BigInt(this.#nextTicks)
    // Sources mark each frame as intra-coded, which encoders take for an order.
    if (this.plan.kind === 'video') frame.pictType = AV_PICTURE_TYPE_NONE
    this.#nextTicks += this.plan.kind === 'video' ? 1 : frame.nbSamples
    this.#frames += 1
    paint?.(frame)
    FFmpegError.throwIfError(this.context.sendFrameSync(frame), `encode with ${this.plan.encoder}`)
  }

  #openSource(): FilterSource {
    const { kind, filters } = this.plan
    const format = kind === 'video' ? 'format=yuv420p' : `aformat=sample_fmts=${avGetSampleFmtName(this.#sampleFormat)}`
    return new FilterSource(kind, `${filters},${format}`)
  }

  #openEncoder(): void {
    const { context } = this
    const { sink } = this.#source
    context.allocContext3(this.#codec)
    context.threadCount = 1
    if (this.plan.kind === 'video') {
      context.width = sink.buffersinkGetWidth()
      context.height = sink.buffersinkGetHeight()
      context.framerate = sink.buffersinkGetFrameRate()
      context.timeBase = context.framerate.inv()
      context.pixelFormat = AV_PIX_FMT_YUV420P
    } else {
      context.sampleRate = sink.buffersinkGetSampleRate()
      context.timeBase = new Rational(1, context.sampleRate)
      context.sampleFormat = this.#sampleFormat
      context.channelLayout = sink.buffersinkGetChannelLayout()
    }
    // One by one, as `open2Sync` of node-av 6.1.1 frees a dictionary that it is given, and its owner frees it again.
    for (const [name, value] of Object.entries(this.plan.encoderOptions)) {
      FFmpegError.throwIfError(context.setOption(name, value), `set ${name}=${value} for encoder "${this.plan.encoder}"`)
    }
    FFmpegError.throwIfError(context.open2Sync(this.#codec), `open encoder "${this.plan.encoder}"`)
  }

  /** What the encoder likes best. */
  get #sampleFormat(): AVSampleFormat {
    return this.#codec.sampleFormats?.[0] ?? AV_SAMPLE_FMT_S16
  }
}
