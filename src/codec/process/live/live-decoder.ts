import { AV_NOPTS_VALUE, FF_THREAD_SLICE } from 'node-av/constants'
import { avGetCodecName, Codec, CodecContext, FFmpegError, Frame, type Packet, type Stream } from 'node-av/lib'
import { AppError } from '#lib/errors.ts'

/** Threads that share a picture add no delay, those that take one each do. */
const threads = 2

/** Decodes one track of a stream. What is damaged is left out. */
export class LiveDecoder implements Disposable {
  readonly #stream: Stream
  readonly #context = new CodecContext()
  readonly #frame = new Frame()

  /** Throws `CODEC_UNSUPPORTED`. */
  constructor(stream: Stream) {
    this.#stream = stream
    const { codecpar, timeBase } = stream
    const codec = Codec.findDecoder(codecpar.codecId)
    if (!codec) throw new AppError('CODEC_UNSUPPORTED', `this FFmpeg build cannot decode ${avGetCodecName(codecpar.codecId)}`)
    this.#context.allocContext3(codec)
    FFmpegError.throwIfError(codecpar.toContext(this.#context), 'describe a track to its decoder')
    this.#context.pktTimebase = timeBase
    this.#context.threadCount = threads
    this.#context.threadType = FF_THREAD_SLICE
    FFmpegError.throwIfError(this.#context.open2Sync(codec), 'open a decoder')
    this.#frame.alloc()
  }

  /** The frames that a packet brings out, with the times of the source. Each is valid until the next. */
  *decode(packet: Packet): Generator<{ readonly frame: Frame; readonly seconds: number }> {
    // A damaged packet gives no frame.
    this.#context.sendPacketSync(packet)
    for (;;) {
      this.#frame.unref()
      if (this.#context.receiveFrameSync(this.#frame) < 0) return
      const ticks = this.#frame.bestEffortTimestamp
      if (ticks !== AV_NOPTS_VALUE) yield { frame: this.#frame, seconds: Number(ticks) * this.#stream.timeBase.toDouble() }
    }
  }

  [Symbol.dispose](): void {
    this.#frame.free()
    this.#context.freeContext()
  }
}
