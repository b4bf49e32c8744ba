import { once } from 'node:events'
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import { ByteBudget } from './byte-budget.ts'
import type { GrpcConnection } from './connection.ts'
import { newCounters, type GrpcContext, type GrpcCounters } from './context.ts'
import type { Access, LogHub } from './log-hub.ts'
import type { GrpcSettings } from './settings.ts'
import { StickyChoice } from '#eventlog/sticky-choice.ts'

const tickMs = 1000
/** How long calls that were begun may take when the server stops. */
const stopMs = 5_000
const tlsHandshakeMs = 10_000
const keepAliveMs = 60_000
/** Calls of one connection at a time. */
const maxStreams = 256
/** What a client may send ahead, for each call. */
const streamWindowBytes = 1_048_576
const maxHeaderBytes = 16_384
/** HTTP/2 of one connection, in megabytes; beyond, calls are refused. */
const maxSessionMegabytes = 64
/** All requests, and all answers, that may be in memory. */
const maxRequestBytes = 268_435_456
const maxAnswerBytes = 268_435_456

export type GrpcServerDeps = {
  readonly hub: LogHub
  readonly access: Access
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly settings: GrpcSettings
  /** PEM; without it the server speaks clear text. */
  readonly tls?: { readonly certificate: Buffer; readonly key: Buffer } | undefined
}

/** Totals since the start, and what there is now: for metrics. */
export type GrpcServerStats = Readonly<GrpcCounters> & {
  readonly connections: number
  readonly openCalls: number
  /** Bytes of requests that are not answered. */
  readonly requestBytes: number
  /** Bytes of answers that clients have not taken. */
  readonly answerBytes: number
}

/**
 * The event log over gRPC (`proto/millrace/log/v1/log.proto`), on HTTP/2 in clear text or with TLS.
 *
 *   session ── GrpcConnection ── routes ── handlers/<noun>.ts ──► LogHub
 *                  │ authenticator   │ Call: frames, flow control, deadline, status
 */
export class GrpcServer implements AsyncDisposable {
  readonly port: number
  readonly #context: GrpcContext
  readonly #access: Access
  readonly #server: Http2Server | Http2SecureServer
  readonly #connections = new Set<GrpcConnection>()
  /** Also those that have not said anything yet. */
  readonly #sockets = new Set<Socket>()
  readonly #timer: NodeJS.Timeout
  #isClosing = false

  private constructor({
    context,
    access,
    server,
  }: {
    context: GrpcContext
    access: Access
    server: Http2Server | Http2SecureServer
  }) {
    this.#context = context
    this.#access = access
    this.#server = server
    const address: AddressInfo | string | null = server.address()
    this.port = typeof address === 'object' ? (address?.port ?? 0) : 0
    this.#serve()
    this.#timer = setInterval(() => this.#tick(), tickMs)
  }

  /** Opens the port. Throws `LISTEN_FAILED`, `CONFIG_INVALID` for a certificate that cannot be used. */
  static async listen(deps: GrpcServerDeps): Promise<GrpcServer> {
    const { settings, hub, access, clock, timers } = deps
    const log = deps.log.child({ server: 'grpc' })
    const server = createHttp2Server(deps)
    await listenOn(server, settings)
    const context: GrpcContext = {
      hub,
      settings,
      clock,
      timers,
      log,
      counters: newCounters(),
      sticky: new StickyChoice(),
      requestBytes: new ByteBudget(maxRequestBytes),
      answerBytes: new ByteBudget(maxAnswerBytes),
    }
    const opened = new GrpcServer({ context, access, server })
    log.info({ host: settings.host, port: opened.port, hasTls: deps.tls !== undefined }, 'grpc server listens')
    return opened
  }

  get stats(): GrpcServerStats {
    const { counters, requestBytes, answerBytes } = this.#context
    return {
      ...counters,
      callsByMethod: { ...counters.callsByMethod },
      endedByStatus: { ...counters.endedByStatus },
      connections: this.#connections.size,
      openCalls: [...this.#connections].reduce((sum, { openCalls }) => sum + openCalls, 0),
      requestBytes: requestBytes.usedBytes,
      answerBytes: answerBytes.usedBytes,
    }
  }

  /** Answers what was begun, ends streams, and closes the port; what takes too long is cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const connection of this.#connections) connection.stop()
    using _deadline = this.#context.timers.after(stopMs, () => {
      for (const connection of this.#connections) connection.destroy()
      for (const socket of this.#sockets) socket.destroy()
    })
    await closed
    clearInterval(this.#timer)
  }

  #serve(): void {
    const server = this.#server
    const { log, counters, settings } = this.#context
    server.maxConnections = settings.maxConnections
    server.on('connection', (socket: Socket) => {
      counters.acceptedConnections += 1
      socket.setKeepAlive(true, keepAliveMs)
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('session', (session) => void this.#begin(session))
    server.on('drop', (from?: { remoteAddress?: string }) => {
      counters.refusedConnections += 1
      log.warn({ remoteHost: from?.remoteAddress, maxConnections: settings.maxConnections }, 'grpc connection refused: too many')
    })
    server.on('tlsClientError', (error: Error) => {
      counters.failedTlsHandshakes += 1
      log.debug({ reason: error.message }, 'grpc TLS handshake failed')
    })
    server.on('error', (error) => log.error({ reason: error.message }, 'grpc server cannot accept connections'))
  }

  /** What speaks the protocol is loaded with the first client: 4 MB that an idle node does without. Calls that come meanwhile wait for it. */
  async #begin(session: ServerHttp2Session): Promise<void> {
    const early: { readonly stream: ServerHttp2Stream; readonly headers: IncomingHttpHeaders }[] = []
    const ignore = (): void => {}
    const keep = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
      stream.on('error', ignore)
      early.push({ stream, headers })
    }
    session.on('error', ignore)
    session.on('stream', keep)
    const connections = await import('./connection.ts')
    session.off('stream', keep)
    if (session.destroyed) return
    const connection = new connections.GrpcConnection({ context: this.#context, session, access: this.#access })
    session.off('error', ignore)
    this.#connections.add(connection)
    session.once('close', () => this.#connections.delete(connection))
    for (const { stream, headers } of early) connection.take(stream, headers)
    if (this.#isClosing) connection.stop()
  }

  #tick(): void {
    const nowMs = this.#context.clock.monotonicMs()
    for (const connection of this.#connections) connection.tick(nowMs)
  }
}

function createHttp2Server({ tls }: GrpcServerDeps): Http2Server | Http2SecureServer {
  const options: ServerOptions = {
    maxSessionMemory: maxSessionMegabytes,
    settings: {
      enablePush: false,
      maxConcurrentStreams: maxStreams,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: maxHeaderBytes,
    },
  }
  if (!tls) return createServer(options)
  try {
    const { certificate: cert, key } = tls
    return createSecureServer({ ...options, cert, key, handshakeTimeout: tlsHandshakeMs, minVersion: 'TLSv1.2' })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const message = `the gRPC server cannot use its certificate with its key: ${reason}; see that they are PEM and belong together`
    throw new AppError('CONFIG_INVALID', message, { cause: error })
  }
}

async function listenOn(server: Http2Server | Http2SecureServer, { host, port }: GrpcSettings): Promise<void> {
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const message = `cannot listen on ${host} port ${port} for gRPC: ${reason}; set another grpc.port`
    throw new AppError('LISTEN_FAILED', message, { cause: error })
  }
}
