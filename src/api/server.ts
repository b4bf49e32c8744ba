import websocket from '@fastify/websocket'
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { TlsFiles } from '#lib/tls-files.ts'
import type { Tracer } from '#lib/tracing.ts'
import type { App } from './app.ts'
import { registerBodyTimeout } from './body-timeout.ts'
import { registerBrowsePage } from './browse-page.ts'
import { clientErrorHandler, errorHandler } from './error-answers.ts'
import { Connections } from './connections.ts'
import { closeCodes } from './event-socket.ts'
import { type Mount, registerMounts } from './mounts.ts'
import { registerOpenApi } from './openapi.ts'
import { registerRequestLog, type RequestObserver } from './request-log.ts'
import { registerRequestTracing } from './request-tracing.ts'
import { type ConfigRouteDeps, configRoutes } from './routes/config.ts'
import { consumeRoutes } from './routes/consume.ts'
import { type EventRouteDeps, eventRoutes } from './routes/events.ts'
import { type GroupRouteDeps, groupRoutes } from './routes/groups.ts'
import { type HealthRouteDeps, healthRoutes } from './routes/health.ts'
import type { JobServices } from './job-services.ts'
import { jobFileRoutes } from './routes/job-files.ts'
import { jobSourceRoutes } from './routes/job-sources.ts'
import { jobRoutes } from './routes/jobs.ts'
import { nodeRoutes } from './routes/nodes.ts'
import { objectRoutes, type ObjectRouteDeps } from './routes/objects.ts'
import { scenarioRoutes } from './routes/scenarios.ts'
import { workerRoutes } from './routes/worker.ts'
import { type KeyRouteDeps, keyRoutes } from './routes/keys.ts'
import { type ProfileRouteDeps, profileRoutes } from './routes/profiles.ts'
import { playbackRoutes, type PlaybackService } from './routes/playback.ts'
import { produceRoutes } from './routes/produce.ts'
import { recordingRoutes, type RecordingService } from './routes/recordings.ts'
import { type StorageUsage, statusRoutes } from './routes/status.ts'
import { type StreamRouteDeps, streamRoutes } from './routes/streams.ts'
import { type TopicRouteDeps, topicRoutes } from './routes/topics.ts'
import { registerRequestLimits } from './request-limits.ts'
import type { SecurePort } from './secure-port.ts'
import { type ClientCertificates, registerSecurity, type SecurityDeps } from './security.ts'
import { validatorCompiler } from './validation.ts'
import { registerWebApplication } from './web-application.ts'

/** Of a node that has streams. */
export type LiveServices = StreamRouteDeps & {
  readonly recordings: RecordingService
  readonly playback: PlaybackService
  readonly storage: StorageUsage
}
/** Of a node that has the event log. */
export type LogServices = TopicRouteDeps & GroupRouteDeps & Omit<EventRouteDeps, 'log'>

/** Of a node that takes jobs. */
export type FleetServices = JobServices & ObjectRouteDeps

/** All that the routes work on. What a node does not have has no routes there. */
type ApiServices = HealthRouteDeps &
  ConfigRouteDeps & {
    readonly live?: LiveServices
    readonly records?: LogServices
    readonly jobs?: FleetServices
    readonly profiler?: ProfileRouteDeps['profiler']
    readonly keys?: KeyRouteDeps['keys']
  }

export type ApiServerDeps = ApiServices &
  SecurityDeps & {
    readonly log: Logger
    readonly host: string
    /** 0 takes any free port; `address` says which. */
    readonly port: number
    /** HTTPS besides it. */
    readonly tls?: { readonly port: number; readonly files: TlsFiles }
    /** Where the web application was built to. */
    readonly webDirectory: string
    readonly mounts?: readonly Mount[]
    readonly observer?: RequestObserver
    /** Absent: nothing is traced. */
    readonly tracer?: Tracer | undefined
    /** How long requests that are being answered may take to end when the server stops. */
    readonly closeTimeoutMs?: number
  }

const bodyLimitBytes = 2 ** 20
/** 128 characters of a stream name, each of which may be written as `%XX`. */
const maxParamLength = 512
/** For a body of up to `bodyLimitBytes` to arrive. */
const bodyTimeoutMs = 30_000
const timeouts = {
  /** Node's own would break off uploads without end. The head of a request has 60 s. */
  requestTimeout: 0,
  /** Longer than what proxies keep (nginx: 60 s), so that it is they who close. */
  keepAliveTimeout: 75_000,
  /** Without a byte in or out: a player that waits for a live part is answered within seconds. */
  connectionTimeout: 120_000,
}

/** How long a WebSocket may take to answer that it is being closed. */
const goodbyeMs = 500

/** The HTTP server: the API below `/api/v1`, health, the web application, and whatever is mounted. */
export class ApiServer implements AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number }
  readonly #app: App
  readonly #secure: SecurePort | undefined
  readonly #connections: Connections
  readonly #closing: AbortController
  readonly #closeTimeoutMs: number
  #closed: Promise<void> | undefined

  private constructor(options: {
    app: App
    secure: SecurePort | undefined
    connections: Connections
    closing: AbortController
    closeTimeoutMs: number
  }) {
    this.#app = options.app
    this.#secure = options.secure
    this.#connections = options.connections
    this.#closing = options.closing
    this.#closeTimeoutMs = options.closeTimeoutMs
    this.address = addressOf(options.app)
  }

  /** Throws `LISTEN_FAILED`, and `CONFIG_INVALID` for TLS files that cannot be used. */
  static async start(deps: ApiServerDeps): Promise<ApiServer> {
    const { host, port, closeTimeoutMs = 5_000 } = deps
    const closing = new AbortController()
    const certificates: ClientCertificates = new WeakMap()
    const app = await buildApp(deps, closing.signal, certificates)
    const connections = new Connections(app.server)
    try {
      await app.listen({ host, port })
    } catch (error) {
      await app.close()
      throw new AppError('LISTEN_FAILED', `cannot serve HTTP on ${host}:${port}; end the program that has it, or set api.port`, {
        cause: error,
      })
    }
    deps.log.info(addressOf(app), 'HTTP server listens')
    try {
      const secure = await listenSecurely(app, deps, certificates)
      return new ApiServer({ app, secure, connections, closing, closeTimeoutMs })
    } catch (error) {
      await app.close()
      throw error
    }
  }

  /** `http://127.0.0.1:3000` */
  get url(): string {
    const { host, port } = this.address
    return `http://${hostForUrl(host)}:${port}`
  }

  /** `https://127.0.0.1:3443`; undefined: it does not listen for TLS. */
  get tlsUrl(): string | undefined {
    return this.#secure && `https://${hostForUrl(this.address.host)}:${this.#secure.port}`
  }

  /** Takes no new requests, lets those under way end for a limited time, then cuts them. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    const secureClosed = this.#secure?.[Symbol.asyncDispose]()
    this.#connections.close()
    const cut = setTimeout(() => {
      this.#app.server.closeAllConnections()
      for (const client of this.#app.websocketServer.clients) client.terminate()
    }, this.#closeTimeoutMs)
    try {
      await this.#app.close()
      await secureClosed
    } finally {
      clearTimeout(cut)
    }
  }
}

/** The OpenAPI document of the API that these would serve; none of them is called, and nothing listens. */
export async function loadOpenApi(deps: ApiServerDeps): Promise<unknown> {
  const app = await buildApp(deps, new AbortController().signal, new WeakMap())
  try {
    const document: unknown = (await app.inject('/api/openapi.json')).json()
    return document
  } finally {
    await app.close()
  }
}

/** The code of TLS is loaded where it is wanted. */
async function listenSecurely(
  app: App,
  { tls, host, log }: ApiServerDeps,
  certificates: ClientCertificates,
): Promise<SecurePort | undefined> {
  if (!tls) return undefined
  const { SecurePort } = await import('./secure-port.ts')
  const onCertificate = certificates.set.bind(certificates)
  return await SecurePort.listen({ http: app.server, host, ...tls, onCertificate, log })
}

async function buildApp(deps: ApiServerDeps, closing: AbortSignal, certificates: ClientCertificates): Promise<App> {
  const { log, observer, tracer, mounts = [], webDirectory: directory } = deps
  const handleError = errorHandler(log)
  // What it says at `info` we say ourselves.
  const loggerInstance: FastifyBaseLogger = log.child({}, { level: log.isLevelEnabled('warn') ? 'warn' : log.level })
  const app: App = Fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyLimitBytes,
    routerOptions: { maxParamLength },
    ...timeouts,
    // Our own hook answers, in the shape that all errors have.
    return503OnClosing: false,
    trustProxy: 'loopback',
    frameworkErrors: handleError,
    clientErrorHandler,
    // Not even loaded: Ajv and its serializer, which are the default, took 10 MB.
    schemaController: { compilersFactory: { buildValidator: unusedFactory, buildSerializer: unusedFactory } },
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(handleError)
  // Before all hooks that may refuse: its own hook marks what it has to end then.
  await app.register(websocket, { options: { maxPayload: 4096 }, preClose: closeSockets })
  app.addHook('onRequest', async (_, reply) => {
    if (!closing.aborted) return
    void reply.header('connection', 'close')
    throw new AppError('SHUTTING_DOWN', 'this process is stopping; ask another one, or later')
  })
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_: unknown, body: string) => parseJson(body))
  app.decorateRequest('span', undefined)
  if (tracer) registerRequestTracing(app, tracer)
  registerBodyTimeout(app, { timeoutMs: bodyTimeoutMs })
  registerRequestLog(app, { log, ...(observer ? { observer } : {}) })
  await registerSecurity(app, deps, certificates)
  registerOpenApi(app, deps.node)
  registerRoutes(app, deps, closing)
  registerBrowsePage(app)
  registerMounts(app, mounts, closing)
  await registerWebApplication(app, { directory })
  return app
}

function registerRoutes(app: App, services: ApiServerDeps, closing: AbortSignal): void {
  const { live, records, jobs, profiler, keys, clock, log } = services
  healthRoutes(app, services)
  void app.register(
    async (v1: App) => {
      registerRequestLimits(v1, services)
      if (live) {
        streamRoutes(v1, live)
        recordingRoutes(v1, live)
        playbackRoutes(v1, live)
      }
      if (records) {
        eventRoutes(v1, { ...records, log })
        topicRoutes(v1, records)
        produceRoutes(v1, { ...records, clock })
        consumeRoutes(v1, records, closing)
        groupRoutes(v1, records)
      }
      if (jobs) {
        jobRoutes(v1, { jobs })
        jobSourceRoutes(v1, { jobs })
        jobFileRoutes(v1, { jobs })
        scenarioRoutes(v1, { jobs })
        nodeRoutes(v1, { jobs })
        workerRoutes(v1, { jobs }, closing)
        objectRoutes(v1, jobs)
      }
      if (keys) keyRoutes(v1, { keys, clock, log })
      if (profiler) profileRoutes(v1, { profiler }, closing)
      statusRoutes(v1, services)
      configRoutes(v1, services)
    },
    { prefix: '/api/v1' },
  )
}

/**
 * `POST …/start` needs no body, and clients that send JSON everywhere send an empty one. Keys such as `__proto__` need no care here: the
 * schemas of bodies are closed.
 */
function parseJson(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AppError('REQUEST_INVALID', `body is not valid JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** A follower that does not answer within the time, as a sleeping laptop does not, is cut. */
function closeSockets(this: { websocketServer: App['websocketServer'] }, done: () => void): void {
  const { websocketServer } = this
  for (const client of websocketServer.clients) client.close(closeCodes.goingAway, 'the server is stopping; reconnect later')
  const cut = setTimeout(() => {
    for (const client of websocketServer.clients) client.terminate()
  }, goodbyeMs)
  websocketServer.close(() => clearTimeout(cut))
  done()
}

function unusedFactory(): never {
  throw new AppError('INTERNAL', 'a route has neither our validator nor our serializer')
}

function hostForUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function addressOf(app: App): { host: string; port: number } {
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new AppError('INTERNAL', 'the HTTP server has no port')
  return { host: address.address, port: address.port }
}
