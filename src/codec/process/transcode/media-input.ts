import { isAbsolute } from 'node:path'
import { AVERROR_EOF, AVERROR_EXIT, AVERROR_INVALIDDATA, AVDISCARD_ALL, AVSEEK_FLAG_BACKWARD } from 'node-av/constants'
import { Dictionary, FFmpegError, FormatContext, PosixError, type Packet, type Stream } from 'node-av/lib'
import { AppError } from '#lib/errors.ts'
import { Pauses } from './pauses.ts'

/** Containers that are read. A list, as libav has others that fetch further addresses: playlists, session descriptions, concatenations. */
const formats = [
  'mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,mxf,mxf_opatom,gxf,nut,ogg,wav,w64,aiff,caf,mp3,aac,ac3,eac3,flac,wv',
  'ivf,h264,hevc,obu,mpegvideo,dv,rm,png_pipe,jpeg_pipe,webp_pipe,gif',
].join(',')
const loopback = new Set(['127.0.0.1', 'localhost', '[::1]'])
const invalid = FFmpegError.AVERROR(PosixError.EINVAL)

/** What an order has around it while it runs. */
export type Run = {
  readonly signal: AbortSignal
  /** A source that gives nothing for this long is given up. */
  readonly stallMs: number
  /** Called whenever something has moved: a packet, a frame. */
  readonly onMoved: () => void
}

/** A media file that is read over HTTP from this machine, or from its path. Calls must not overlap. */
export class MediaInput implements AsyncDisposable {
  readonly #context = new FormatContext()
  readonly #run: Run
  readonly #interrupt = () => this.#context.interrupt()
  readonly #pauses: Pauses
  readonly #isFile: boolean
  #isOpen = false

  /**
   * Opens it and reads enough to describe its streams. Throws `UNSUPPORTED` for other addresses and containers, `MALFORMED` for what is no media,
   * `SOURCE_UNREACHABLE`, `SOURCE_SILENT`, or the signal's reason.
   */
  static async open(location: string, run: Run): Promise<MediaInput> {
    const address = addressOf(location)
    const input = new MediaInput(run, address.protocols === 'file')
    try {
      await input.#start(address)
      return input
    } catch (error) {
      await input[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(run: Run, isFile: boolean) {
    this.#run = run
    this.#pauses = new Pauses(run.signal)
    this.#isFile = isFile
    // Without it an interrupt would not reach `openInput`.
    this.#context.allocContext()
  }

  get formatName(): string {
    return this.#context.iformat?.name ?? 'unknown'
  }

  get streams(): readonly Stream[] {
    return this.#context.streams
  }

  /** Of the whole file; `undefined` where the server does not say. */
  async sizeBytes(): Promise<number | undefined> {
    const size = Number((await this.#context.pb?.size()) ?? -1)
    return size > 0 ? size : undefined
  }

  /** Packets of all other streams are left out from now on. */
  select(wanted: Stream): void {
    for (const stream of this.streams) if (stream.index !== wanted.index) stream.discard = AVDISCARD_ALL
  }

  /** Reads the next packet into `packet`; false at the end. Throws `SOURCE_UNREACHABLE` when the file breaks off. */
  async read(packet: Packet): Promise<boolean> {
    packet.unref()
    const result = this.#isFile ? await this.#readFile(packet) : await this.#guard(() => this.#context.readFrame(packet))
    if (result >= 0) {
      this.#run.onMoved()
      return true
    }
    // Demuxers tell some failures of the connection as the end.
    const failed = this.#context.pb?.error ?? 0
    if (result === AVERROR_EOF && (failed >= 0 || failed === AVERROR_EOF)) return false
    if (result === AVERROR_INVALIDDATA) return false
    throw unreachable('reading the source failed', failed < 0 ? failed : result)
  }

  /** Goes to a keyframe at or before this time, as well as the container knows; false where it cannot. */
  async seek(stream: Stream, ticks: number): Promise<boolean> {
    const result = await this.#guard(() => this.#context.seekFrame(stream.index, BigInt(ticks), AVSEEK_FLAG_BACKWARD))
    return result >= 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOpen) await this.#context.closeInput()
    else this.#context.freeContext()
    this.#isOpen = false
  }

  async #start({ url, protocols }: Address): Promise<void> {
    using options = Dictionary.fromObject({
      protocol_whitelist: protocols,
      format_whitelist: formats,
      max_redirects: '0',
      multiple_requests: '1',
    })
    const opened = await this.#guard(() => this.#context.openInput(url, null, options))
    if (opened < 0) throw openError(opened)
    this.#isOpen = true
    const found = await this.#guard(() => this.#context.findStreamInfo())
    if (found < 0) throw openError(found)
  }

  /** A file has its next packet at once: to have another thread fetch it costs more than to read it, about 50 µs each. */
  async #readFile(packet: Packet): Promise<number> {
    await this.#pauses.next()
    return this.#context.readFrameSync(packet)
  }

  /** Runs what may block on the connection, no longer than `stallMs` and until the signal fires. */
  async #guard(operation: () => Promise<number>): Promise<number> {
    const { signal, stallMs } = this.#run
    signal.throwIfAborted()
    const stalled = new AbortController()
    const timer = setTimeout(() => {
      stalled.abort()
      this.#interrupt()
    }, stallMs)
    signal.addEventListener('abort', this.#interrupt)
    try {
      const result = await operation()
      signal.throwIfAborted()
      if (stalled.signal.aborted && result < 0) throw silent(stallMs)
      return result
    } finally {
      signal.removeEventListener('abort', this.#interrupt)
      clearTimeout(timer)
    }
  }
}

type Address = { readonly url: string; readonly protocols: string }

/** What is read may not lead anywhere else: libav gets no protocol but the one of its address. */
function addressOf(location: string): Address {
  if (isAbsolute(location)) return { url: `file:${location}`, protocols: 'file' }
  const parsed = URL.parse(location)
  if (parsed?.protocol === 'http:' && loopback.has(parsed.hostname)) return { url: location, protocols: 'http,tcp' }
  throw new AppError(
    'UNSUPPORTED',
    'a source is read from a path, or over http from this machine only; serve it through the worker',
  )
}

function openError(code: number): AppError {
  const said = FFmpegError.strerror(code)
  if (code === AVERROR_INVALIDDATA || code === AVERROR_EOF) {
    return new AppError('MALFORMED', `the source is no media file, or is damaged at its start (${said})`)
  }
  if (code === invalid) {
    return new AppError('UNSUPPORTED', 'the source is a playlist, or has a container that is not taken; give it as a media file')
  }
  return unreachable('the source cannot be opened', code)
}

function unreachable(what: string, code: number): AppError {
  return code === AVERROR_EXIT
    ? new AppError('SOURCE_SILENT', `${what}: it was interrupted`)
    : new AppError('SOURCE_UNREACHABLE', `${what}: ${FFmpegError.strerror(code)}`)
}

function silent(stallMs: number): AppError {
  return new AppError('SOURCE_SILENT', `the source gave nothing for ${stallMs} ms; is it still being served?`)
}
