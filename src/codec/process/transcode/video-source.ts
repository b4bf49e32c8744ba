import { AV_DISPOSITION_ATTACHED_PIC, AVERROR_EOF, AVMEDIA_TYPE_VIDEO, AV_NOPTS_VALUE } from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, Frame, Packet, PosixError, type Stream } from 'node-av/lib'
import { AppError } from '#lib/errors.ts'
import type { FrameSource } from './frame-timeline.ts'
import type { MediaInput } from './media-input.ts'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)
/** How far before the wanted time a keyframe is looked for, one after the other, and then from the start of the file. */
const stepsBackMs = [0, 1000, 5000, 20_000]

/** Decoded pictures of a source's first video stream, in the order in which they are shown. */
export class VideoSource implements FrameSource, Disposable {
  readonly stream: Stream
  readonly #input: MediaInput
  readonly #decoder = new CodecContext()
  readonly #packet = new Packet()
  readonly #frame = new Frame()
  /** The packet is the first after a seek and was not decoded yet. */
  #hasPacket = false
  #isEnding = false
  /** Pictures before the keyframe that decoding began with lack what they refer to. */
  #firstTicks = -Infinity

  /** Throws `UNSUPPORTED` when there is no video stream, `CODEC_UNSUPPORTED` when it cannot be decoded. */
  constructor(input: MediaInput, threads: number) {
    this.stream = requireVideo(input)
    this.#input = input
    input.select(this.stream)
    this.#packet.alloc()
    this.#frame.alloc()
    openDecoder(this.#decoder, this.stream, threads)
  }

  /** Seconds of one tick of the pictures' times. */
  get tickSeconds(): number {
    return this.stream.timeBase.num / this.stream.timeBase.den
  }

  /** Begins with a keyframe that is shown at or before `timeMs`, or with the first. Must come before the first `next`. */
  async startAt(timeMs: number): Promise<void> {
    const wantedTicks = Math.floor(timeMs / 1000 / this.tickSeconds)
    const { startTime } = this.stream
    if (startTime !== AV_NOPTS_VALUE && wantedTicks <= Number(startTime)) return
    for (const backMs of stepsBackMs) {
      const ticks = wantedTicks - Math.round(backMs / 1000 / this.tickSeconds)
      if (!(await this.#input.seek(this.stream, ticks))) break
      if (await this.#readKeyframe(wantedTicks)) return
    }
    if (!(await this.#input.seek(this.stream, Number(startTime === AV_NOPTS_VALUE ? 0n : startTime)))) {
      throw new AppError('MALFORMED', 'the source cannot be read from its start again')
    }
    this.#hasPacket = false
    this.#firstTicks = -Infinity
  }

  /** The next picture, `undefined` at the end. It belongs to the source and is overwritten by the next call. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      this.#frame.unref()
      const got = this.#decoder.receiveFrameSync(this.#frame)
      if (got === AVERROR_EOF) return undefined
      if (got >= 0) {
        const time = this.#frame.bestEffortTimestamp
        if (time === AV_NOPTS_VALUE || Number(time) < this.#firstTicks) continue
        this.#frame.pts = time
        return this.#frame
      }
      if (got !== needsMore) FFmpegError.throwIfError(got, 'decode a picture')
      await this.#feed()
    }
  }

  [Symbol.dispose](): void {
    this.#frame.free()
    this.#packet.free()
    this.#decoder.freeContext()
  }

  /** Reads up to the next keyframe and keeps it if it is early enough. */
  async #readKeyframe(wantedTicks: number): Promise<boolean> {
    while (await this.#input.read(this.#packet)) {
      if (this.#packet.streamIndex !== this.stream.index || !this.#packet.isKeyframe) continue
      const { pts, dts } = this.#packet
      const ticks = Number(pts === AV_NOPTS_VALUE ? dts : pts)
      this.#hasPacket = true
      this.#firstTicks = ticks
      return ticks <= wantedTicks
    }
    return false
  }

  async #feed(): Promise<void> {
    if (this.#isEnding) throw new AppError('CODEC_FAILED', 'the decoder does not end')
    while (!this.#hasPacket) {
      if (!(await this.#input.read(this.#packet))) {
        this.#isEnding = true
        FFmpegError.throwIfError(this.#decoder.sendPacketSync(null), 'end the decoder')
        return
      }
      this.#hasPacket = this.#packet.streamIndex === this.stream.index
    }
    this.#hasPacket = false
    // A damaged packet costs its picture; the timeline goes on with the one before it.
    this.#decoder.sendPacketSync(this.#packet)
  }
}

/** The first video stream that is no cover picture. */
export function findVideo(input: MediaInput): Stream | undefined {
  return input.streams.find(
    (each) => each.codecpar.codecType === AVMEDIA_TYPE_VIDEO && !each.hasDisposition(AV_DISPOSITION_ATTACHED_PIC),
  )
}

function requireVideo(input: MediaInput): Stream {
  const stream = findVideo(input)
  if (!stream) throw new AppError('UNSUPPORTED', 'the source has no video')
  return stream
}

function openDecoder(decoder: CodecContext, stream: Stream, threads: number): void {
  const codec = Codec.findDecoder(stream.codecpar.codecId)
  if (!codec) throw new AppError('CODEC_UNSUPPORTED', `no decoder for the source's video, libav codec ${stream.codecpar.codecId}`)
  decoder.allocContext3(codec)
  FFmpegError.throwIfError(decoder.parametersToContext(stream.codecpar), 'set up the decoder')
  decoder.pktTimebase = stream.timeBase
  decoder.threadCount = threads
  FFmpegError.throwIfError(decoder.open2Sync(codec), 'open the decoder')
}
