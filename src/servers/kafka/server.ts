import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import { Authorizer } from './authorizer.ts'
import { ByteBudget } from './byte-budget.ts'
import { SecureServer, type CertificateFiles } from './certificate.ts'
import type { KafkaConnection } from './connection.ts'
import { newCounters, type KafkaContext, type KafkaCounters } from './context.ts'
import { Credentials } from './credentials.ts'
import { advertise, advertisedWarnings, type Endpoint, type Listener } from './endpoint.ts'
import type { Access, LogHub } from './log-hub.ts'
import { OnceAMinute } from './once-a-minute.ts'
import type { KafkaSettings } from './settings.ts'

const tickMs = 250
/** How long requests that were begun may take when the server stops. */
const stopMs = 5_000
/** All requests, and all answers, that may be in memory. */
const maxRequestBytes = 536_870_912
const maxAnswerBytes = 536_870_912

export type KafkaServerDeps = {
  readonly hub: LogHub
  /** What clients are told that the cluster is called: always the same for the same log. */
  readonly clusterId: string
  readonly access: Access
  /** Whether a topic that a client asks for by name is made. */
  readonly isAutoCreating: boolean
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly settings: KafkaSettings
  /** Needed with `tlsPort`. */
  readonly tls?: CertificateFiles
}

/** Totals since the start, and what there is now: for metrics. */
export type KafkaServerStats = Readonly<KafkaCounters> & {
  readonly connections: number
  /** Bytes of requests that are not answered. */
  readonly requestBytes: number
  /** Bytes of answers that clients have not taken. */
  readonly answerBytes: number
}

/**
 * The Kafka protocol, for the clients of Apache Kafka: https://kafka.apache.org/protocol
 *
 *   sockets (plain, TLS) ── KafkaConnection ── dispatch ── handlers/<family>.ts ──► LogHub
 *                               │ login (SASL)               │ authorizer (ACLs)
 *                               └── credentials              └── error-codes
 */
export class KafkaServer implements AsyncDisposable {
  readonly port: number
  /** Port of TLS, if there is one. */
  readonly tlsPort: number | undefined
  readonly #context: KafkaContext
  readonly #servers: readonly Server[]
  readonly #secure: SecureServer | undefined
  readonly #connections = new Set<KafkaConnection>()
  /** Under TLS, also while they shake hands. */
  readonly #tlsSockets = new Set<Socket>()
  readonly #timer: NodeJS.Timeout
  #isClosing = false

  private constructor({ context, plain, secure }: { context: KafkaContext; plain: Server; secure: SecureServer | undefined }) {
    this.#context = context
    this.#servers = secure ? [plain, secure.server] : [plain]
    this.#secure = secure
    this.port = portOf(plain.address())
    this.tlsPort = secure && portOf(secure.server.address())
    this.#serve(plain, { isTls: false, port: this.port })
    if (secure) this.#serve(secure.server, { isTls: true, port: portOf(secure.server.address()) })
    this.#timer = setInterval(() => this.#tick(), tickMs)
  }

  /** Opens the ports. Throws `LISTEN_FAILED`, `CONFIG_INVALID` for TLS files that cannot be used, `DATABASE_UNAVAILABLE`. */
  static async listen(deps: KafkaServerDeps): Promise<KafkaServer> {
    const { settings, access, hub } = deps
    const log = deps.log.child({ server: 'kafka' })
    const context: KafkaContext = {
      ...deps,
      log,
      authorizer: await Authorizer.load({ access, store: hub.metadata }),
      credentials: await Credentials.load({ access, store: hub.metadata }),
      isLoginRequired: () => access.isRequired(),
      complaints: new OnceAMinute(deps),
      counters: newCounters(),
      requestBytes: new ByteBudget(maxRequestBytes),
      answerBytes: new ByteBudget(maxAnswerBytes),
    }
    using opened = new DisposableStack()
    const { host, advertisedHost } = settings
    const secure = opened.use(await createSecureServer(deps, log))
    const plain = await listenOn(createServer(), { host, port: settings.port, key: 'kafka.port' })
    opened.defer(() => plain.close())
    if (secure) await listenOn(secure.server, { host, port: settings.tlsPort ?? 0, key: 'kafka.tlsPort' })
    opened.move()
    const server = new KafkaServer({ context, plain, secure })
    log.info({ host, port: server.port, tlsPort: server.tlsPort, advertisedHost }, 'kafka server listens')
    for (const warning of advertisedWarnings(settings)) log.warn(warning)
    return server
  }

  get stats(): KafkaServerStats {
    const { counters, requestBytes, answerBytes } = this.#context
    return {
      ...counters,
      requestsByApi: { ...counters.requestsByApi },
      errorsByCode: { ...counters.errorsByCode },
      connections: this.#connections.size,
      requestBytes: requestBytes.usedBytes,
      answerBytes: answerBytes.usedBytes,
    }
  }

  /** Answers what was begun, ends long polls, and closes the ports; what takes too long is cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    const closed = this.#servers.map((server) => once(server, 'close'))
    for (const server of this.#servers) server.close()
    for (const connection of this.#connections) connection.stop()
    using _deadline = this.#context.timers.after(stopMs, () => {
      for (const connection of this.#connections) connection.destroy()
      for (const socket of this.#tlsSockets) socket.destroy()
    })
    await Promise.all(closed)
    clearInterval(this.#timer)
    this.#secure?.[Symbol.dispose]()
  }

  #serve(server: Server, listener: Listener): void {
    const { log, counters, settings } = this.#context
    server.maxConnections = settings.maxConnections
    server.on(listener.isTls ? 'secureConnection' : 'connection', (socket: Socket) => this.#accept(socket, listener))
    if (listener.isTls) {
      server.on('connection', (socket) => {
        this.#tlsSockets.add(socket)
        socket.once('close', () => this.#tlsSockets.delete(socket))
      })
    }
    server.on('drop', (from?: { remoteAddress?: string }) => this.#refuse(from?.remoteAddress))
    server.on('error', (error) => log.error({ reason: error.message }, 'kafka server cannot accept connections'))
    server.on('tlsClientError', (error: Error, socket: Socket) => {
      counters.failedTlsHandshakes += 1
      const remoteHost = socket.remoteAddress ?? ''
      const times = this.#context.complaints.count(`tls ${remoteHost}`)
      if (times !== undefined) log.warn({ remoteHost, reason: error.message, times }, 'kafka TLS handshake failed')
    })
  }

  /** Both ports share one allowance of connections. */
  #accept(socket: Socket, listener: Listener): void {
    const context = this.#context
    if (this.#isClosing || this.#connections.size >= context.settings.maxConnections) {
      this.#refuse(socket.remoteAddress)
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    context.counters.acceptedConnections += 1
    void this.#begin(socket, advertise(context.settings, listener, socket.localAddress))
  }

  /** What speaks the protocol is loaded with the first client: 4 MB that an idle node does without. */
  async #begin(socket: Socket, endpoint: Endpoint): Promise<void> {
    const ignore = (): void => {}
    socket.on('error', ignore)
    const { KafkaConnection } = await import('./connection.ts')
    socket.off('error', ignore)
    if (this.#isClosing || socket.destroyed) {
      socket.destroy()
      return
    }
    const connection = new KafkaConnection({ context: this.#context, socket, endpoint })
    this.#connections.add(connection)
    socket.once('close', () => this.#connections.delete(connection))
  }

  #refuse(remoteHost: string | undefined): void {
    const { counters, complaints, log, settings } = this.#context
    if (this.#isClosing) return
    counters.refusedConnections += 1
    const times = complaints.count('too many connections')
    if (times !== undefined)
      log.warn({ remoteHost, maxConnections: settings.maxConnections, times }, 'kafka connection refused: too many')
  }

  #tick(): void {
    const nowMs = this.#context.clock.monotonicMs()
    for (const connection of this.#connections) connection.tick(nowMs)
  }
}

/** The TLS listener, when the settings want one. */
async function createSecureServer({ settings, tls, timers }: KafkaServerDeps, log: Logger): Promise<SecureServer | undefined> {
  if (settings.tlsPort === undefined) return undefined
  if (tls) return SecureServer.create(tls, { timers, log })
  throw new AppError('CONFIG_INVALID', 'kafka.tlsPort is set, but there is no certificate; set tls.certificate and tls.key')
}

async function listenOn(server: Server, { host, port, key }: { host: string; port: number; key: string }): Promise<Server> {
  try {
    server.listen(port, host)
    await once(server, 'listening')
    return server
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new AppError('LISTEN_FAILED', `cannot listen on ${host} port ${port} for Kafka: ${reason}; set another ${key}`, {
      cause: error,
    })
  }
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}
