import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { chooseChallenge, writeAuthorization, type Challenge } from '#formats/rtsp/authentication.ts'
import { RtspFramer, type FramerSink } from '#formats/rtsp/framer.ts'
import {
  findHeader,
  writeRequest,
  writeResponse,
  type HeaderFields,
  type RtspMessage,
  type RtspMethod,
  type RtspRequest,
  type RtspResponse,
} from '#formats/rtsp/message.ts'
import type { RtspUrl } from '#formats/rtsp/url.ts'
import { AppError, toAppError } from '#lib/errors.ts'

const connectTimeoutMs = 5_000
const responseTimeoutMs = 10_000
const readBufferBytes = 65_536
/** How long TEARDOWN and what else is unsent may take to leave. */
const closeTimeoutMs = 500
const userAgent = 'Millrace'

type Pending = { readonly cseq: number; resolve(response: RtspResponse): void; reject(error: AppError): void }

/**
 * The client's side of one RTSP connection: requests one after the other, with digest or Basic when asked for, and interleaved packets.
 * The socket reads into one buffer that is used again and again, so that a packet costs no allocation but its view: 100 sources of 4 Mbit/s
 * take 7 to 9 % of a core, 11 % with a new buffer for each read.
 */
export class RtspClientConnection implements FramerSink, AsyncDisposable {
  readonly #url: RtspUrl
  readonly #socket: Socket
  readonly #framer = new RtspFramer(this)
  readonly #closed = Promise.withResolvers<AppError>()
  #onInterleaved: (channel: number, payload: Buffer) => void = () => {}
  #pending: Pending | undefined
  #cseq = 0
  #challenge: Challenge | undefined
  #nonceUses = 0

  private constructor(url: RtspUrl) {
    this.#url = url
    const buffer = Buffer.allocUnsafeSlow(readBufferBytes)
    const callback = (length: number): boolean => {
      this.#read(buffer.subarray(0, length))
      return true
    }
    this.#socket = connect({ host: url.host, port: url.port, noDelay: true, onread: { buffer, callback } })
    this.#socket.on('error', (error) => {
      this.#fail(this.#unreachable(error.message, error))
    })
    this.#socket.on('close', () => {
      this.#fail(this.#unreachable('it closed the connection'))
    })
  }

  /** Throws `SOURCE_UNREACHABLE` after 5 s without a connection, or when the signal fires. */
  static async open(url: RtspUrl, signal: AbortSignal): Promise<RtspClientConnection> {
    const connection = new RtspClientConnection(url)
    const connected = Promise.withResolvers<void>()
    connection.#socket.once('connect', () => {
      connected.resolve()
    })
    const timer = setTimeout(() => {
      connection.abandon(connection.#unreachable(`no connection within ${connectTimeoutMs} ms`))
    }, connectTimeoutMs)
    const onAbort = (): void => {
      connection.abandon(connection.#unreachable('the attempt was given up'))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    try {
      const error = await Promise.race([connected.promise, connection.#closed.promise])
      if (error) throw error
      return connection
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Resolves with the reason when the connection is over. */
  get closed(): Promise<AppError> {
    return this.#closed.promise
  }
  /** The address that the name led to; packets over UDP come from there. */
  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? this.#url.host
  }
  /** The socket's own address, where UDP ports have to be opened. */
  get localAddress(): string {
    return this.#socket.localAddress ?? '0.0.0.0'
  }

  /** Where interleaved packets go from now on; payloads are valid only during the call. */
  onInterleaved(listener: (channel: number, payload: Buffer) => void): void {
    this.#onInterleaved = listener
  }

  /**
   * Sends a request and waits for its answer, whatever its status; a 401 is answered once. Throws `SOURCE_UNREACHABLE` when none comes
   * within 10 s, `SOURCE_REFUSED` when the credentials are missing or wrong. One at a time.
   */
  async request(method: RtspMethod, url: string, headers: HeaderFields = {}): Promise<RtspResponse> {
    const first = await this.#exchange(method, url, headers)
    if (first.status !== 401) return first
    if (!this.#takeChallenge(first)) {
      throw new AppError(
        'SOURCE_REFUSED',
        `${this.#name} asks for an authentication that is not known; digest (MD5, SHA-256) and Basic are`,
      )
    }
    if (this.#url.username === undefined) {
      throw new AppError(
        'SOURCE_REFUSED',
        `${this.#name} asks for a user and a password; put them into the URL: rtsp://user:password@…`,
      )
    }
    const second = await this.#exchange(method, url, headers)
    if (second.status === 401) {
      throw new AppError(
        'SOURCE_REFUSED',
        `${this.#name} refuses user "${this.#url.username}" or the password; correct the source's URL`,
      )
    }
    return second
  }

  /** Sends a request whose answer nobody waits for: some cameras never answer a keepalive. */
  send(method: RtspMethod, url: string, headers: HeaderFields): void {
    this.#cseq += 1
    this.#socket.write(this.#encode(method, url, headers))
  }

  /** Sends bytes that are framed already. */
  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Drops the connection for the given reason. */
  abandon(error: AppError): void {
    this.#fail(error)
    this.#socket.destroy()
  }

  /** Lets what is written leave, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(this.#unreachable('the connection was ended by this side'))
    if (this.#socket.closed) return
    const closed = new Promise<void>((resolve) => {
      this.#socket.once('close', () => {
        resolve()
      })
    })
    const timer = setTimeout(() => this.#socket.destroy(), closeTimeoutMs)
    this.#socket.end()
    this.#socket.destroySoon()
    await closed
    clearTimeout(timer)
  }

  interleaved(channel: number, payload: Buffer): void {
    this.#onInterleaved(channel, payload)
  }

  message(message: RtspMessage): void {
    if (message.kind === 'request') {
      this.#answer(message)
      return
    }
    const cseq = findHeader(message.headers, 'cseq')
    const pending = this.#pending
    // A camera that leaves CSeq out is answering the only request there is.
    if (pending && (cseq === undefined || Number(cseq) === pending.cseq)) {
      this.#pending = undefined
      pending.resolve(message)
    } else if (message.status === 401) {
      // A keepalive with an old nonce: the next one has the new.
      this.#takeChallenge(message)
    }
  }

  get #name(): string {
    return `${this.#url.host}:${this.#url.port}`
  }

  #unreachable(what: string, cause?: unknown): AppError {
    return new AppError('SOURCE_UNREACHABLE', `${this.#name}: ${what}`, { cause })
  }

  #read(bytes: Buffer): void {
    try {
      this.#framer.push(bytes)
    } catch (error) {
      this.abandon(toAppError(error))
    }
  }

  async #exchange(method: RtspMethod, url: string, headers: HeaderFields): Promise<RtspResponse> {
    this.#cseq += 1
    const { promise, resolve, reject } = Promise.withResolvers<RtspResponse>()
    this.#pending = { cseq: this.#cseq, resolve, reject }
    if (this.#socket.destroyed) reject(await this.#closed.promise)
    else this.#socket.write(this.#encode(method, url, headers))
    const timer = setTimeout(() => {
      this.abandon(this.#unreachable(`no answer to ${method} within ${responseTimeoutMs} ms`))
    }, responseTimeoutMs)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }

  #encode(method: RtspMethod, url: string, headers: HeaderFields): Buffer {
    const authorization = this.#authorization(method, url)
    return writeRequest({
      method,
      url,
      headers: {
        CSeq: this.#cseq,
        'User-Agent': userAgent,
        ...(authorization ? { Authorization: authorization } : {}),
        ...headers,
      },
    })
  }

  #authorization(method: RtspMethod, uri: string): string | undefined {
    const { username, password = '' } = this.#url
    if (!this.#challenge || username === undefined) return undefined
    this.#nonceUses += 1
    const cnonce = randomBytes(8).toString('hex')
    return writeAuthorization(this.#challenge, { username, password }, { method, uri, cnonce, count: this.#nonceUses })
  }

  #takeChallenge({ headers }: RtspResponse): boolean {
    const challenge = chooseChallenge(headers.get('www-authenticate') ?? [])
    if (!challenge) return false
    this.#challenge = challenge
    this.#nonceUses = 0
    return true
  }

  /** Some cameras ask OPTIONS or GET_PARAMETER to see whether we are alive. */
  #answer(request: RtspRequest): void {
    const isPing = ['OPTIONS', 'GET_PARAMETER', 'SET_PARAMETER'].includes(request.method)
    const cseq = findHeader(request.headers, 'cseq')
    const [status, reason] = isPing ? ([200, 'OK'] as const) : ([501, 'Not Implemented'] as const)
    this.#socket.write(
      writeResponse({ status, reason, headers: { CSeq: cseq, Public: 'OPTIONS, GET_PARAMETER, SET_PARAMETER' } }),
    )
  }

  #fail(error: AppError): void {
    this.#closed.resolve(error)
    this.#pending?.reject(error)
    this.#pending = undefined
  }
}
