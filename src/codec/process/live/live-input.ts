import {
  AVERROR_EOF,
  AVERROR_HTTP_FORBIDDEN,
  AVERROR_HTTP_NOT_FOUND,
  AVERROR_HTTP_UNAUTHORIZED,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
  type AVMediaType,
} from 'node-av/constants'
import { Dictionary, FFmpegError, FormatContext, InputFormat, type Packet, type Stream } from 'node-av/lib'
import { AppError } from '#lib/errors.ts'

/** How much of the stream is looked at to learn its frame rate. Nothing of it is lost. */
const analyzeMs = 1500
const refusals = new Set<number>([AVERROR_HTTP_UNAUTHORIZED, AVERROR_HTTP_FORBIDDEN, AVERROR_HTTP_NOT_FOUND])

type Options = {
  readonly signal: AbortSignal
  /** A source that gives nothing for this long is given up. */
  readonly stallMs: number
}

/** A stream that is read over RTSP, interleaved in its TCP connection. Calls must not overlap. */
export class LiveInput implements AsyncDisposable {
  readonly #context = new FormatContext()
  readonly #options: Options
  readonly #interrupt = () => this.#context.interrupt()
  #isOpen = false
  #isStalled = false

  /** Throws `UNSUPPORTED` for other addresses, `SOURCE_REFUSED`, `SOURCE_UNREACHABLE`, `SOURCE_SILENT`, or the signal's reason. */
  static async open(url: string, options: Options): Promise<LiveInput> {
    if (!/^rtsps?:\/\//.test(url))
      throw new AppError('UNSUPPORTED', 'a live source is read over RTSP only; give its rtsp:// address')
    const input = new LiveInput(options)
    try {
      await input.#start(url)
      return input
    } catch (error) {
      await input[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(options: Options) {
    this.#options = options
    // Without it an interrupt would not reach `openInput`.
    this.#context.allocContext()
  }

  get video(): Stream | undefined {
    return this.#first(AVMEDIA_TYPE_VIDEO)
  }

  get audio(): Stream | undefined {
    return this.#first(AVMEDIA_TYPE_AUDIO)
  }

  /** The next packet, of any track. Throws `SOURCE_UNREACHABLE` when the source ends, `SOURCE_SILENT`, or the signal's reason. */
  async read(packet: Packet): Promise<void> {
    packet.unref()
    const got = await this.#guard(() => this.#context.readFrame(packet))
    if (got >= 0) return
    const said = got === AVERROR_EOF ? 'it has ended' : FFmpegError.strerror(got)
    throw new AppError('SOURCE_UNREACHABLE', `the source gives no more: ${said}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOpen) await this.#context.closeInput()
    else this.#context.freeContext()
    this.#isOpen = false
  }

  async #start(url: string): Promise<void> {
    const format = InputFormat.findInputFormat('rtsp')
    using settings = Dictionary.fromObject({ rtsp_transport: 'tcp', protocol_whitelist: 'rtsp,rtp,tcp,tls,udp' })
    const opened = await this.#guard(() => this.#context.openInput(url, format, settings))
    if (opened < 0) throw openError(opened)
    this.#isOpen = true
    this.#context.maxAnalyzeDuration = BigInt(analyzeMs * 1000)
    const found = await this.#guard(() => this.#context.findStreamInfo())
    if (found < 0) throw openError(found)
  }

  #first(type: AVMediaType): Stream | undefined {
    return this.#context.streams.find(({ codecpar }) => codecpar.codecType === type)
  }

  /** Runs what may block on the connection, no longer than `stallMs` and until the signal fires. */
  async #guard(operation: () => Promise<number>): Promise<number> {
    const { signal, stallMs } = this.#options
    signal.throwIfAborted()
    const timer = setTimeout(() => {
      this.#isStalled = true
      this.#interrupt()
    }, stallMs)
    signal.addEventListener('abort', this.#interrupt)
    try {
      const result = await operation()
      signal.throwIfAborted()
      // An interrupted read may still give what libav had: then it is the next one that fails.
      if (this.#isStalled && result < 0) throw new AppError('SOURCE_SILENT', `the source gave nothing for ${stallMs} ms`)
      return result
    } finally {
      signal.removeEventListener('abort', this.#interrupt)
      clearTimeout(timer)
    }
  }
}

function openError(code: number): AppError {
  const said = FFmpegError.strerror(code)
  return refusals.has(code)
    ? new AppError('SOURCE_REFUSED', `the source refuses: ${said}`)
    : new AppError('SOURCE_UNREACHABLE', `the source cannot be opened: ${said}`)
}
