import { AVERROR_EOF, AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_FLTP, type AVSampleFormat } from 'node-av/constants'
import { avChannelLayoutDefault, CodecContext, FFmpegError, Packet, PosixError, Rational, type Frame } from 'node-av/lib'
import type { AudioEncoder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { ChunkPacket } from './chunk-format.ts'
import { audioChunkStream } from './chunk-stream.ts'
import type { ChunkStream } from './chunk-description.ts'
import { findEncoder } from './video-encoding.ts'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)

const encoders = {
  aac: { name: 'aac', format: AV_SAMPLE_FMT_FLTP, formatName: 'fltp', frameSamples: 1024 },
  opus: { name: 'libopus', format: AV_SAMPLE_FMT_FLT, formatName: 'flt', frameSamples: 960 },
} as const satisfies Record<
  AudioEncoder['codec'],
  { name: string; format: AVSampleFormat; formatName: string; frameSamples: number }
>

/** A sound encoder at work; its times are samples. */
export class AudioEncoding implements Disposable {
  readonly stream: ChunkStream
  /** What it takes: so many samples a frame, but for the last. */
  readonly frameSamples: number
  readonly sampleFormat: string
  readonly #context = new CodecContext()
  readonly #packet = new Packet()

  /** Throws `UNSUPPORTED` for Opus at another rate than 48 kHz. */
  constructor(audio: AudioEncoder) {
    const { name, format, formatName, frameSamples } = encoders[audio.codec]
    if (audio.codec === 'opus' && audio.sampleRate !== 48_000) {
      throw new AppError('UNSUPPORTED', `Opus has 48000 samples a second, not ${audio.sampleRate}`)
    }
    this.frameSamples = frameSamples
    this.sampleFormat = formatName
    const codec = findEncoder(name)
    const context = this.#context
    context.allocContext3(codec)
    context.sampleRate = audio.sampleRate
    context.timeBase = new Rational(1, audio.sampleRate)
    context.sampleFormat = format
    context.channelLayout = avChannelLayoutDefault(audio.channels)
    context.threadCount = 1
    context.bitRate = BigInt(audio.bitsPerSecond)
    FFmpegError.throwIfError(context.setOption('flags', '+global_header'), 'set up the encoder')
    FFmpegError.throwIfError(context.open2Sync(codec), `open encoder "${name}"`)
    this.#packet.alloc()
    this.stream = audioChunkStream(context, audio.codec)
  }

  /** The packets that a frame, or with `null` the end, brings out. */
  *encode(frame: Frame | null): Generator<ChunkPacket> {
    FFmpegError.throwIfError(this.#context.sendFrameSync(frame), 'encode sound')
    for (;;) {
      const got = this.#context.receivePacketSync(this.#packet)
      if (got === needsMore || got === AVERROR_EOF) return
      FFmpegError.throwIfError(got, 'encode sound')
      const { pts, dts, duration, data } = this.#packet
      if (data) yield { pts: Number(pts), dts: Number(dts), durationTicks: Number(duration), isKeyframe: true, data }
      this.#packet.unref()
    }
  }

  [Symbol.dispose](): void {
    this.#packet.free()
    this.#context.freeContext()
  }
}
