import {
  AV_PICTURE_TYPE_I,
  AV_PICTURE_TYPE_NONE,
  AV_PKT_DATA_CONTENT_LIGHT_LEVEL,
  AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
  AVERROR_EOF,
  type FFEncoderCodec,
} from 'node-av/constants'
import { avGetPixFmtFromName, Codec, CodecContext, FFmpegError, Packet, PosixError, Rational, type Frame } from 'node-av/lib'
import type { Hdr, Rational as PlainRational, VideoEncoder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { ChunkPacket } from './chunk-format.ts'
import { videoChunkStream } from './chunk-stream.ts'
import type { ChunkStream } from './chunk-description.ts'
import { hasAvx512 } from './cpu.ts'
import { encoderOptions, pixelFormatOf } from './encoder-options.ts'
import { contentLightStruct, masteringDisplayStruct } from './hdr-metadata.ts'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)

/** By how many frames x265 with a pyramid of B-frames decodes before it shows. */
const x265DelayFrames = 2

export type VideoEncodingOptions = {
  readonly video: VideoEncoder
  readonly width: number
  readonly height: number
  readonly frameRate: PlainRational
}

/** A video encoder at work; its times are frame numbers. */
export class VideoEncoding implements Disposable {
  readonly stream: ChunkStream
  readonly #context = new CodecContext()
  readonly #packet = new Packet()
  readonly #gopFrames: number
  readonly #name: string
  /** Decoding time of the next packet, where it is not the encoder's. */
  #nextDts: number | undefined

  /** Throws `CODEC_UNSUPPORTED` when there is no such encoder here, `REQUEST_INVALID` when it refuses its options. */
  constructor({ video, width, height, frameRate }: VideoEncodingOptions) {
    this.#name = video.encoder
    this.#gopFrames = video.gopFrames
    const codec = findEncoder(video.encoder)
    const context = this.#context
    context.allocContext3(codec)
    context.width = width
    context.height = height
    context.pixelFormat = avGetPixFmtFromName(pixelFormatOf(video))
    context.timeBase = new Rational(frameRate.den, frameRate.num)
    context.framerate = new Rational(frameRate.num, frameRate.den)
    context.sampleAspectRatio = new Rational(1, 1)
    context.threadCount = video.threads
    this.#set({ ...colorOptions(video), ...encoderOptions(video, { hasAvx512: hasAvx512() }) })
    const opened = context.open2Sync(codec)
    if (opened < 0) {
      const said = FFmpegError.strerror(opened)
      throw new AppError('CODEC_UNSUPPORTED', `encoder "${video.encoder}" cannot be opened for ${width}x${height}: ${said}`)
    }
    this.#packet.alloc()
    const stream = videoChunkStream(context, video.codec)
    this.stream = { ...stream, sideData: [...stream.sideData, ...hdrSideData(video.hdr)] }
  }

  /** Gives the encoder frame number `n`, which must be one more than the last; each `gopFrames`th becomes a keyframe. */
  *encode(frame: Frame, n: number): Generator<ChunkPacket> {
    frame.pts = BigInt(n)
    frame.duration = 1n
    frame.pictType = n % this.#gopFrames === 0 ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
    // It leaves the times undefined when it gets fewer frames than it holds back. They are these in any case.
    if (this.#name === 'libx265') this.#nextDts ??= n - x265DelayFrames
    FFmpegError.throwIfError(this.#context.sendFrameSync(frame), `encode with ${this.#name}`)
    yield* this.#packets()
  }

  /** What the encoder still holds. */
  *finish(): Generator<ChunkPacket> {
    FFmpegError.throwIfError(this.#context.sendFrameSync(null), `end ${this.#name}`)
    yield* this.#packets()
  }

  [Symbol.dispose](): void {
    this.#packet.free()
    this.#context.freeContext()
  }

  *#packets(): Generator<ChunkPacket> {
    for (;;) {
      const got = this.#context.receivePacketSync(this.#packet)
      if (got === needsMore || got === AVERROR_EOF) return
      FFmpegError.throwIfError(got, `encode with ${this.#name}`)
      const { pts, dts, isKeyframe, data } = this.#packet
      if (!data) throw new AppError('CODEC_FAILED', `encoder "${this.#name}" made a packet without data`)
      yield {
        pts: Number(pts),
        dts: this.#nextDts === undefined ? Number(dts) : this.#nextDts++,
        durationTicks: 1,
        isKeyframe,
        data,
      }
      this.#packet.unref()
    }
  }

  // One by one, as `open2Sync` of node-av 6.1.1 frees a dictionary that it is given, and its owner frees it again.
  #set(options: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(options)) {
      if (this.#context.setOption(name, value) >= 0) continue
      throw new AppError('REQUEST_INVALID', `encoder "${this.#name}" does not take ${name}=${value}`)
    }
  }
}

/** The encoder of that name. Throws `CODEC_UNSUPPORTED`. */
export function findEncoder(name: string): Codec {
  const codec = isEncoderName(name) ? Codec.findEncoderByName(name) : undefined
  if (!codec) throw new AppError('CODEC_UNSUPPORTED', `this build of FFmpeg has no encoder "${name}"; use a worker that has it`)
  return codec
}

/** Libav's names are strings with a brand; whether it exists is found by looking. */
function isEncoderName(name: string): name is FFEncoderCodec {
  return /^[a-z0-9_-]{1,40}$/.test(name)
}

function colorOptions({ color }: VideoEncoder): Readonly<Record<string, string>> {
  return {
    color_primaries: color.primaries,
    color_trc: color.transfer,
    colorspace: color.matrix,
    color_range: color.range === 'unknown' ? 'tv' : color.range,
  }
}

function hdrSideData(hdr: Hdr | undefined): { type: number; data: string }[] {
  const display = hdr?.masteringDisplay && {
    type: AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
    data: masteringDisplayStruct(hdr.masteringDisplay),
  }
  const light = hdr?.contentLight && { type: AV_PKT_DATA_CONTENT_LIGHT_LEVEL, data: contentLightStruct(hdr.contentLight) }
  return [display, light].flatMap((each) => (each ? [{ type: each.type, data: each.data.toString('base64') }] : []))
}
