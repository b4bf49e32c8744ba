import { AVERROR_EOF, AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_FLTP } from 'node-av/constants'
import {
  avChannelLayoutDefault,
  avGetPixFmtFromName,
  CodecContext,
  FFmpegError,
  Packet,
  PosixError,
  Rational,
  type Codec,
  type Frame,
} from 'node-av/lib'
import type { AudioEncoder, Rational as PlainRational, VideoEncoder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { pixelFormatOf } from '../transcode/encoder-options.ts'
import { findEncoder } from '../transcode/video-encoding.ts'
import { liveEncoderOptions } from './live-encoder-options.ts'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)
/** Of video, in ticks a second: that of RTP, so that no time is rounded on the way out. */
export const videoClockHz = 90_000

/** An encoder at work, whose frames have their times in its time base. */
export class LiveEncoder implements Disposable {
  readonly context = new CodecContext()
  readonly #name: string
  readonly #packet = new Packet()

  /** Throws `CODEC_UNSUPPORTED` when there is no such encoder here, `REQUEST_INVALID` when it refuses its options. */
  static video(video: VideoEncoder, shape: { width: number; height: number; frameRate: PlainRational }): LiveEncoder {
    return new LiveEncoder(video.encoder, liveEncoderOptions(video), (context) => {
      context.width = shape.width
      context.height = shape.height
      context.pixelFormat = avGetPixFmtFromName(pixelFormatOf(video))
      context.timeBase = new Rational(1, videoClockHz)
      // For the sharing out of bits; frames come when they come.
      context.framerate = new Rational(shape.frameRate.num, shape.frameRate.den)
      context.sampleAspectRatio = new Rational(1, 1)
      context.threadCount = video.threads
    })
  }

  /** Throws the same. */
  static audio({ codec, sampleRate, channels, bitsPerSecond }: AudioEncoder): LiveEncoder {
    return new LiveEncoder(codec === 'aac' ? 'aac' : 'libopus', { flags: '+global_header' }, (context) => {
      context.sampleRate = sampleRate
      context.timeBase = new Rational(1, sampleRate)
      context.sampleFormat = codec === 'aac' ? AV_SAMPLE_FMT_FLTP : AV_SAMPLE_FMT_FLT
      context.channelLayout = avChannelLayoutDefault(channels)
      context.bitRate = BigInt(bitsPerSecond)
      context.threadCount = 1
    })
  }

  private constructor(name: string, options: Readonly<Record<string, string>>, describe: (context: CodecContext) => void) {
    this.#name = name
    const codec: Codec = findEncoder(name)
    this.context.allocContext3(codec)
    describe(this.context)
    // One by one, as `open2Sync` of node-av 6.1.1 frees a dictionary that it is given, and its owner frees it again.
    for (const [option, value] of Object.entries(options)) {
      if (this.context.setOption(option, value) >= 0) continue
      throw new AppError('REQUEST_INVALID', `encoder "${name}" does not take ${option}=${value}`)
    }
    const opened = this.context.open2Sync(codec)
    if (opened < 0) throw new AppError('CODEC_UNSUPPORTED', `encoder "${name}" cannot be opened: ${FFmpegError.strerror(opened)}`)
    this.#packet.alloc()
  }

  /** The packets that a frame brings out. Each is valid until the next. */
  *encode(frame: Frame): Generator<Packet> {
    FFmpegError.throwIfError(this.context.sendFrameSync(frame), `encode with ${this.#name}`)
    for (;;) {
      this.#packet.unref()
      const got = this.context.receivePacketSync(this.#packet)
      if (got === needsMore || got === AVERROR_EOF) return
      FFmpegError.throwIfError(got, `encode with ${this.#name}`)
      yield this.#packet
    }
  }

  [Symbol.dispose](): void {
    this.#packet.free()
    this.context.freeContext()
  }
}
