import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { AppError, toAppError } from '#lib/errors.ts'
import { Authenticator } from './authenticator.ts'
import { isGrpc, parseCallHeaders } from './call-headers.ts'
import { Call } from './call.ts'
import type { GrpcContext } from './context.ts'
import { letGo } from './let-go.ts'
import type { Access } from './log-hub.ts'
import { routes } from './routes.ts'
import type { Route } from './route.ts'
import { statusOf, trailersOf } from './status.ts'

/** What one connection may have on its way in, over all of its calls. */
const windowBytes = 4_194_304
/** A client that is silent is asked whether it is there, and let go when it does not answer. */
const pingEveryMs = 30_000
const pingTimeoutMs = 20_000
/** A connection without calls is closed after this time. */
const idleMs = 900_000

/** One client: takes its calls, and lets go of it when it is gone. */
export class GrpcConnection {
  readonly #context: GrpcContext
  readonly #session: ServerHttp2Session
  readonly #authenticator: Authenticator
  readonly #remoteHost: string
  readonly #calls = new Set<Call>()
  #activeMs: number
  #pingedMs: number
  #isAnswerDue = false

  constructor({ context, session, access }: { context: GrpcContext; session: ServerHttp2Session; access: Access }) {
    this.#context = context
    this.#session = session
    this.#authenticator = new Authenticator({ access })
    this.#remoteHost = (session.socket.remoteAddress ?? '').replace(/^::ffff:/i, '')
    this.#activeMs = this.#pingedMs = context.clock.monotonicMs()
    session.setLocalWindowSize(windowBytes)
    session.on('stream', (stream, headers) => this.take(stream, headers))
    session.on('error', (error) => {
      context.counters.brokenConnections += 1
      context.log.debug({ remoteHost: this.#remoteHost, reason: error.message }, 'grpc connection error')
    })
  }

  /** Calls that have not ended, or whose answer the client has not taken. */
  get openCalls(): number {
    return this.#calls.size
  }

  /** Takes no more calls; those there are are told to end. */
  stop(): void {
    this.#session.close()
    for (const call of this.#calls) call.stop()
  }

  /** Ends at once. */
  destroy(): void {
    this.#session.destroy()
  }

  tick(nowMs: number): void {
    for (const call of this.#calls) call.tick(nowMs)
    if (this.#calls.size > 0) this.#activeMs = nowMs
    else if (nowMs - this.#activeMs > idleMs) this.#session.close()
    if (this.#isAnswerDue && nowMs - this.#pingedMs > pingTimeoutMs) this.destroy()
    else if (!this.#isAnswerDue && nowMs - this.#pingedMs > pingEveryMs) this.#ping(nowMs)
  }

  #ping(nowMs: number): void {
    if (this.#session.destroyed || this.#session.closed) return
    this.#pingedMs = nowMs
    this.#isAnswerDue = this.#session.ping(() => {
      this.#isAnswerDue = false
    })
  }

  /** Begins a call. A stream that does not even become one is answered here. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // What follows is answered or logged elsewhere; without a listener it would end the process.
    stream.on('error', () => {})
    try {
      const path = headers[':path'] ?? ''
      if (headers[':method'] !== 'POST') return this.#refuseHttp(stream, 405)
      if (!isGrpc(headers['content-type'])) return this.#refuseHttp(stream, 415)
      const route = routes.get(path)
      if (!route) throw new AppError('UNSUPPORTED', `there is no method ${path.slice(0, 200)}`)
      this.#call(stream, { route, path, headers })
    } catch (thrown) {
      this.#refuse(stream, toAppError(thrown))
    }
  }

  #call(stream: ServerHttp2Stream, { route, path, headers }: { route: Route; path: string; headers: IncomingHttpHeaders }): void {
    const context = this.#context
    const { callsByMethod } = context.counters
    const name = path.slice(1)
    callsByMethod[name] = (callsByMethod[name] ?? 0) + 1
    const user = this.#authenticator.check(headers.authorization, route.right)
    const onClose = (): void => void this.#calls.delete(call)
    const call = new Call({ context, stream, headers: parseCallHeaders(headers), onClose })
    this.#calls.add(call)
    route.run({ call, context }).catch((thrown: unknown) => {
      const error = toAppError(thrown)
      if (error.code === 'INTERNAL') context.log.error({ method: name, user, err: error }, 'grpc call failed')
      call.fail(error)
    })
  }

  #refuse(stream: ServerHttp2Stream, error: AppError): void {
    const { counters, log } = this.#context
    const status = statusOf(error)
    counters.endedByStatus[status] = (counters.endedByStatus[status] ?? 0) + 1
    if (status === 'UNAUTHENTICATED') {
      counters.failedLogins += 1
      log.debug({ remoteHost: this.#remoteHost, reason: error.message }, 'grpc call refused')
    }
    if (stream.destroyed) return
    const accepted = { 'grpc-accept-encoding': 'identity,gzip' }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...accepted, ...trailersOf(error) }, { endStream: true })
    letGo(stream, this.#context.timers)
    if (this.#authenticator.isExhausted) this.#session.close()
  }

  /** Not gRPC, so there is no status of gRPC. */
  #refuseHttp(stream: ServerHttp2Stream, status: number): void {
    stream.respond({ ':status': status }, { endStream: true })
    letGo(stream, this.#context.timers)
  }
}
