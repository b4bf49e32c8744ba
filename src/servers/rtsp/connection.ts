import type { Socket } from 'node:net'
import { RtspFramer, type FramerSink } from '#formats/rtsp/framer.ts'
import {
  findHeader,
  rtspMethods,
  writeResponse,
  type RtspMessage,
  type RtspMethod,
  type RtspRequest,
} from '#formats/rtsp/message.ts'
import { rtspStatus } from '#formats/rtsp/status.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { type Logger, withoutCredentials } from '#lib/log.ts'
import { Authenticator } from './authenticator.ts'
import type { MediaLink, RtspContext, RtspSession } from './context.ts'
import { errorHeaders, replyToError, type Reply } from './reply.ts'
import { requestHandlers } from './request-handlers.ts'

/** Requests that wait for the answer to the one before. */
const maxWaitingRequests = 16
/** How long the rest of what was written may take to leave after `end`. */
const closeTimeoutMs = 2_000

/** One client: reads requests and interleaved packets, answers in order, and keeps at most one session. */
export class RtspConnection implements FramerSink, MediaLink {
  readonly context: RtspContext
  readonly authenticator: Authenticator
  readonly remoteHost: string
  readonly remoteAddress: string
  readonly log: Logger
  userAgent: string | undefined
  readonly #socket: Socket
  readonly #framer = new RtspFramer(this)
  readonly #gone = new AbortController()
  #session: RtspSession | undefined
  #answering: Promise<void> = Promise.resolve()
  #waiting = 0
  #resyncs = 0
  #isEnding = false
  #lastRequestMs: number
  #progress = { takenBytes: 0, atMs: 0 }

  constructor({ context, socket }: { context: RtspContext; socket: Socket }) {
    this.context = context
    this.authenticator = new Authenticator(context)
    this.remoteHost = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
    this.remoteAddress = `${this.remoteHost}:${socket.remotePort ?? 0}`
    this.log = context.log.child({ remoteAddress: this.remoteAddress })
    this.#socket = socket
    this.#lastRequestMs = context.clock.monotonicMs()
    this.#progress.atMs = this.#lastRequestMs
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      this.#read(chunk)
    })
    socket.on('error', (error) => {
      this.log.debug({ reason: error.message }, 'rtsp connection error')
    })
    socket.on('close', () => {
      this.#closed()
    })
  }

  /** The session that this connection set up, while it lives. */
  get session(): RtspSession | undefined {
    const session = this.#session
    return session && this.context.sessions.get(session.id) === session ? session : undefined
  }
  set session(session: RtspSession | undefined) {
    this.#session = session
  }
  get bufferedBytes(): number {
    return this.#socket.writableLength
  }
  /** Fires when the connection is closed. */
  get signal(): AbortSignal {
    return this.#gone.signal
  }

  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#socket.destroySoon()
    const timer = setTimeout(() => this.#socket.destroy(), closeTimeoutMs)
    this.#socket.once('close', () => {
      clearTimeout(timer)
    })
  }

  /** Ends at once, unsent bytes or not. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Called a few times a second: lets go of a client that is silent without a session, or takes no bytes. */
  tick(nowMs: number): void {
    const { sessionTimeoutSeconds, stalledReaderSeconds } = this.context.settings
    const takenBytes = this.#socket.bytesWritten - this.#socket.writableLength
    if (this.#socket.writableLength === 0 || takenBytes !== this.#progress.takenBytes)
      this.#progress = { takenBytes, atMs: nowMs }
    if (nowMs - this.#progress.atMs > stalledReaderSeconds * 1000) {
      this.log.warn(
        { stream: this.session?.streamName, unsentBytes: this.bufferedBytes },
        'rtsp client takes no bytes: disconnected',
      )
      this.destroy()
    } else if (!this.session && nowMs - this.#lastRequestMs > sessionTimeoutSeconds * 1000) {
      this.log.debug({}, 'rtsp client without a session is silent: disconnected')
      this.destroy()
    }
  }

  interleaved(channel: number, payload: Buffer): void {
    this.#session?.interleaved(channel, payload)
  }

  message(message: RtspMessage): void {
    // We ask clients nothing: an answer is a stray one.
    if (message.kind === 'response' || this.#isEnding) return
    this.#waiting += 1
    if (this.#waiting > maxWaitingRequests) {
      throw new AppError('LIMIT_EXCEEDED', `more than ${maxWaitingRequests} requests at once; wait for the answers`)
    }
    this.#lastRequestMs = this.context.clock.monotonicMs()
    this.userAgent ??= findHeader(message.headers, 'user-agent')?.slice(0, 200)
    this.#answering = this.#answering.then(() => this.#answer(message))
  }

  #read(chunk: Buffer): void {
    if (this.#isEnding) return
    try {
      this.#framer.push(chunk)
    } catch (thrown) {
      this.#send(undefined, { ...this.#refuse(toAppError(thrown), undefined), isLast: true })
    }
    const { resyncs } = this.#framer.stats
    this.context.counters.resyncs += resyncs - this.#resyncs
    this.#resyncs = resyncs
  }

  /** Never rejects: the next request waits for it. */
  async #answer(request: RtspRequest): Promise<void> {
    this.context.counters.requests += 1
    const reply = await this.#handle(request).catch((thrown: unknown) => this.#refuse(toAppError(thrown), request))
    this.#waiting -= 1
    if (this.signal.aborted) return
    this.#send(request, reply)
    try {
      reply.afterwards?.()
    } catch (thrown) {
      this.#refuse(toAppError(thrown), request)
      this.destroy()
    }
  }

  async #handle(request: RtspRequest): Promise<Reply> {
    if (!request.version.startsWith('RTSP/1.')) {
      return { status: 505, headers: errorHeaders('UNSUPPORTED', `${request.version} is not spoken; use RTSP/1.0`) }
    }
    const method = rtspMethods.find((known) => known === request.method)
    if (!method) {
      return {
        status: 501,
        headers: { Public: rtspMethods.join(', '), ...errorHeaders('UNSUPPORTED', `there is no method ${request.method}`) },
      }
    }
    return requestHandlers[method satisfies RtspMethod](this, request)
  }

  #send(request: RtspRequest | undefined, reply: Reply): void {
    const cseq = request && findHeader(request.headers, 'cseq')
    const { status, headers, body } = reply
    const isLast = reply.isLast ?? false
    this.write(
      writeResponse({
        status,
        reason: rtspStatus[status],
        headers: { CSeq: cseq, Server: 'Millrace', ...headers, ...(isLast ? { Connection: 'close' } : {}) },
        ...(body === undefined ? {} : { body }),
      }),
    )
    if (isLast) this.end()
  }

  /** Counts and logs what could not be done; gives back the answer to it. */
  #refuse(error: AppError, request: RtspRequest | undefined): Reply {
    const reply = replyToError(error)
    // A client that left while its request was under way is no news.
    if (this.signal.aborted) return reply
    this.context.counters.refusedRequests += 1
    const url = request && withoutCredentials(request.url)
    const fields = { method: request?.method, url, userAgent: this.userAgent, code: error.code, reason: error.message }
    if (error.code === 'INTERNAL') this.log.error({ ...fields, err: error }, 'rtsp request failed')
    else this.log.warn(fields, 'rtsp request refused')
    return reply
  }

  #closed(): void {
    this.#gone.abort()
    const { session } = this
    this.session = undefined
    if (session && !session.isOverUdp) session.close('the client closed the connection')
  }
}
