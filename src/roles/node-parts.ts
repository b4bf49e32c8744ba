import type { ApiServer } from '#api/server.ts'
import type { PartView, SettingView } from '#api/contract.ts'
import { AccessList } from '#auth/access.ts'
import { UrlSigner } from '#auth/url-signer.ts'
import type { LogAgent } from '#eventlog/agent.ts'
import type { PlatformEvents } from '#eventlog/platform/platform-events.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Tracer } from '#lib/tracing.ts'
import type { EventSink } from '#live/events.ts'
import type { Recordings } from '#live/recordings.ts'
import type { StreamRegistry } from '#live/registry.ts'
import type { Metrics } from '#ops/metrics.ts'
import type { MetricsServer } from '#ops/metrics-server.ts'
import { Profiler } from '#ops/profiler.ts'
import type { HlsHandler } from '#servers/hls/handler.ts'
import type { GrpcServer } from '#servers/grpc/server.ts'
import type { KafkaServer } from '#servers/kafka/server.ts'
import type { RtspServer } from '#servers/rtsp/server.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { Database } from '#store/sql/schema.ts'
import type { NodeAddresses } from './node.ts'
import type { JobsPart } from './jobs-part.ts'
import type { LogServerDeps } from './log-servers.ts'
import type { Part } from './roles.ts'
import { loadSigningSecret } from './signing-secret.ts'
import type { WorkerPart } from './worker-part.ts'
import { databaseUrl, type Settings } from './settings.ts'

/** What every part is built from. `settings` and `showConfiguration` are replaced by a reload. */
export type PartContext = {
  settings: Settings
  showConfiguration: () => readonly SettingView[]
  readonly identity: { readonly version: string; readonly startedAtMs: number; readonly roles: readonly string[] }
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Builds, keeps and ends the parts of a process; nothing else. The code of a part is loaded when it is started: no role carries that of another, and
 * what loading takes in memory is given back before the next.
 */
export class NodeParts {
  readonly #context: PartContext
  readonly #access: AccessList
  readonly #metrics: Metrics
  readonly #profiler: Profiler
  readonly #running = new Map<Part, AsyncDisposable>()
  #tracer: (Tracer & AsyncDisposable) | undefined
  #database: Database | undefined
  #objects: ObjectStore | undefined
  #log: LogAgent | undefined
  #events: PlatformEvents | undefined
  #jobs: JobsPart | undefined
  #worker: WorkerPart | undefined
  #recordings: Recordings | undefined
  #streams: StreamRegistry | undefined
  #signer: UrlSigner | undefined
  #hls: HlsHandler | undefined
  #rtsp: RtspServer | undefined
  #kafka: KafkaServer | undefined
  #grpc: GrpcServer | undefined
  #api: ApiServer | undefined
  #metricsServer: MetricsServer | undefined

  readonly #start: Record<Part, () => Promise<AsyncDisposable | undefined>> = {
    tracing: async () => (this.#tracer = await this.#openTracer()),
    database: async () => (this.#database = await this.#openDatabase()),
    objects: async () => (this.#objects = await this.#openObjects()),
    log: async () => (this.#log = await this.#openLog()),
    events: async () => (this.#events = await this.#openEvents()),
    recordings: async () => (this.#recordings = await this.#openRecordings()),
    streams: () => this.#openStreams(),
    jobs: async () => (this.#jobs = await this.#openJobs()),
    rtsp: async () => (this.#rtsp = await this.#startRtsp()),
    kafka: async () => (this.#kafka = await (await import('./log-servers.ts')).startKafka(this.#logServerDeps)),
    grpc: async () => (this.#grpc = await (await import('./log-servers.ts')).startGrpc(this.#logServerDeps)),
    api: async () => (this.#api = await this.#startApi()),
    worker: async () => (this.#worker = await this.#startWorker()),
    backup: () => this.#startBackups(),
    metrics: async () => (this.#metricsServer = await this.#startMetrics()),
  }

  constructor(context: PartContext, metrics: Metrics) {
    this.#context = context
    this.#access = new AccessList(context.settings.users)
    this.#metrics = metrics
    this.#profiler = new Profiler(context)
    this.#profiler.allow(context.settings.profiling.enabled)
  }

  get addresses(): NodeAddresses {
    const { settings } = this.#context
    const kafka = this.#kafka && `${hostForUrl(settings.kafka.host)}:${this.#kafka.port}`
    const grpc = this.#grpc && `${hostForUrl(settings.grpc.host)}:${this.#grpc.port}`
    const rtsp = this.#rtsp && `rtsp://${hostForUrl(settings.rtsp.host)}:${this.#rtsp.port}`
    const metrics =
      this.#metricsServer && `http://${hostForUrl(this.#metricsServer.address.host)}:${this.#metricsServer.address.port}/metrics`
    return {
      ...(this.#api ? { api: this.#api.url } : {}),
      ...(this.#api?.tlsUrl === undefined ? {} : { apiTls: this.#api.tlsUrl }),
      ...(rtsp ? { rtsp } : {}),
      ...(kafka ? { kafka } : {}),
      ...(grpc ? { grpc } : {}),
      ...(metrics ? { metrics } : {}),
      ...(this.#worker?.url === undefined ? {} : { worker: this.#worker.url }),
    }
  }

  isRunning(part: Part): boolean {
    return this.#running.has(part)
  }

  async start(part: Part): Promise<void> {
    const value = await this.#start[part]()
    this.#running.set(part, value ?? { [Symbol.asyncDispose]: async () => {} })
  }

  async restart(part: Part): Promise<void> {
    await this.#stop(part)
    await this.start(part)
  }

  async stopAll(): Promise<void> {
    for (const part of [...this.#running.keys()].reverse()) await this.#stop(part)
  }

  /** Takes on what needs no restart: users, profiling and streams. Gives back the streams that it touched. */
  async takeOn(settings: Settings): Promise<string[]> {
    this.#access.replace(settings.users)
    this.#profiler.allow(settings.profiling.enabled)
    const result = await this.#streams?.reconcile({ defaults: settings.streamDefaults, streams: settings.streams })
    return result ? [...result.added, ...result.changed, ...result.removed].map((name) => `streams.${name}`) : []
  }

  async #stop(part: Part): Promise<void> {
    const value = this.#running.get(part)
    this.#running.delete(part)
    await value?.[Symbol.asyncDispose]()
  }

  async #openTracer(): Promise<(Tracer & AsyncDisposable) | undefined> {
    const { endpoint } = this.#context.settings.tracing
    if (endpoint === undefined) return undefined
    const { openTracer } = await import('./tracing-part.ts')
    return await openTracer(endpoint, this.#context)
  }

  async #openDatabase(): Promise<Database> {
    const { openDatabase } = await import('#store/sql/database.ts')
    const { settings, log, clock } = this.#context
    return await openDatabase({ url: databaseUrl(settings), log, clock })
  }

  async #openRecordings(): Promise<Recordings> {
    const { openRecordings } = await import('./live-part.ts')
    const [database, objects] = [required(this.#database), required(this.#objects)]
    return await openRecordings({ ...this.#context, database, objects, events: this.#eventSink() })
  }

  async #openStreams(): Promise<AsyncDisposable> {
    const { openStreams } = await import('./live-part.ts')
    const { hlsReaders } = await import('./hls-hub.ts')
    const registry = await openStreams({
      ...this.#context,
      database: required(this.#database),
      events: this.#eventSink(),
      recordings: required(this.#recordings),
      viewers: (stream) => hlsReaders(this.#hls?.viewers(stream) ?? []),
    })
    this.#streams = registry
    return { [Symbol.asyncDispose]: () => registry.close() }
  }

  async #startRtsp(): Promise<RtspServer> {
    const { RtspServer } = await import('#servers/rtsp/server.ts')
    const { settings, clock, log } = this.#context
    return await RtspServer.listen({ hub: required(this.#streams), access: this.#access, clock, log, settings: settings.rtsp })
  }

  async #openObjects(): Promise<ObjectStore> {
    const { openObjectStore } = await import('#store/objects/open-object-store.ts')
    const { observeObjectStore } = await import('#store/objects/observed-store.ts')
    const { settings, clock, log } = this.#context
    const store = await openObjectStore(settings.objects, { dataDirectory: settings.server.dataDirectory, clock, log })
    return observeObjectStore(store, { clock, onRequest: (request) => this.#metrics.log.storeAnswered(request) })
  }

  async #openLog(): Promise<LogAgent> {
    const { openLogAgent } = await import('./log-part.ts')
    const { logSources } = await import('./log-sources.ts')
    const { database, objects } = { database: required(this.#database), objects: required(this.#objects) }
    const agent = await openLogAgent({ ...this.#context, database, objects, observer: this.#metrics.log })
    this.#metrics.log.attach({ log: logSources(agent), kafka: () => this.#kafka?.stats, grpc: () => this.#grpc?.stats })
    return agent
  }

  async #openEvents(): Promise<PlatformEvents> {
    const { openPlatformEvents } = await import('./log-part.ts')
    return await openPlatformEvents(required(this.#log), this.#context)
  }

  get #logServerDeps(): LogServerDeps {
    const { settings, clock, log } = this.#context
    return { agent: required(this.#log), settings, access: this.#access, clock, log }
  }

  async #startApi(): Promise<ApiServer> {
    const { startApi } = await import('./api-part.ts')
    const [streams, recordings] = [this.#streams, this.#recordings]
    const records = this.#log && this.#events && { eventLog: this.#log, events: this.#events }
    const { server, hls } = await startApi({
      ...this.#context,
      access: this.#access,
      database: required(this.#database),
      signer: required(this.#signer),
      live: streams && recordings && { streams, recordings, rtspPort: () => this.#rtsp?.port },
      observer: this.#metrics,
      tracer: this.#tracer,
      profiler: this.#profiler,
      ...(records && { records }),
      jobs: required(this.#jobs).services,
      config: { list: () => this.#context.showConfiguration() },
      node: { ...this.#context.identity, parts: () => this.#partViews() },
    })
    this.#hls = hls
    return server
  }

  async #openJobs(): Promise<JobsPart> {
    const { openJobs } = await import('./jobs-part.ts')
    const { jobMedia } = await import('#api/job-media.ts')
    const { settings, clock } = this.#context
    const secret = await loadSigningSecret(settings.server.dataDirectory)
    const signer = (this.#signer = new UrlSigner({ secret, clock }))
    const [streams, recordings] = [this.#streams, this.#recordings]
    const credential = (): string | undefined =>
      this.#access.isRequired() ? `${this.#access.own.name}:${this.#access.own.password}` : undefined
    const rtspPort = (): number | undefined => this.#rtsp?.port
    const media = streams && recordings && jobMedia({ streams, playback: recordings.playback, signer, rtspPort, credential })
    const part = await openJobs({
      ...this.#context,
      database: required(this.#database),
      objects: required(this.#objects),
      secret,
      media,
      events: this.#events,
      observer: this.#metrics.jobs,
      tracer: this.#tracer,
    })
    this.#metrics.jobs.attach(() => part.fleet)
    return part
  }

  async #startWorker(): Promise<WorkerPart | undefined> {
    const { settings, identity, log } = this.#context
    if (!settings.worker.enabled) return undefined
    const { startWorkerPart } = await import('./worker-part.ts')
    const own = this.#api && { url: this.#api.url, credential: `${this.#access.own.name}:${this.#access.own.password}` }
    const { version } = identity
    const [metrics, profiler, tracer] = [this.#metrics, this.#profiler, this.#tracer]
    return await startWorkerPart({ settings, version, own, metrics, profiler, tracer, log })
  }

  async #startBackups(): Promise<AsyncDisposable | undefined> {
    const { startBackups } = await import('./backup-part.ts')
    const part = startBackups({ ...this.#context, database: required(this.#database), objects: required(this.#objects) })
    this.#metrics.attach({ backups: part?.keeper })
    return part
  }

  async #startMetrics(): Promise<MetricsServer | undefined> {
    const { settings, log } = this.#context
    if (!settings.metrics.enabled) return undefined
    const { MetricsServer } = await import('#ops/metrics-server.ts')
    const { loadDatabaseBytes } = await import('#store/sql/database-size.ts')
    const [streams, storage, database] = [this.#streams, this.#recordings, this.#database]
    if (database) this.#metrics.attach({ database: { loadBytes: () => loadDatabaseBytes(database) } })
    if (streams && storage) {
      this.#metrics.attach({ streams, storage, rtsp: { connectionCount: () => this.#rtsp?.stats.connections ?? 0 } })
    }
    const health = async (): Promise<{ isOk: boolean; body: unknown }> => {
      const views = await this.#partViews()
      return { isOk: views.every(({ isReady }) => isReady), body: { parts: views } }
    }
    return MetricsServer.start({ host: settings.metrics.host, port: settings.metrics.port, metrics: this.#metrics, health, log })
  }

  /** Events of streams and recordings go to the event log; what was deleted and archived is counted. */
  #eventSink(): EventSink {
    const events = required(this.#events)
    return {
      emit: (event) => {
        const { type, stream, ...data } = event
        events.append({ type, subject: stream, data })
        if (event.type === 'recording.deleted') this.#metrics.countDeleted(event)
        if (event.type === 'recording.archived') this.#metrics.countArchived(event)
      },
    }
  }

  async #partViews(): Promise<PartView[]> {
    const started = [...this.#running.keys()].map((name) => ({ name, isReady: true }))
    const database = await this.#checkDatabase()
    const found: Partial<Record<Part, PartState>> = { database, ...(this.#log && { log: logState(this.#log) }) }
    return started.map((view) => ({ ...view, ...found[view.name] }))
  }

  async #checkDatabase(): Promise<PartState> {
    try {
      await required(this.#database).db.selectFrom('streams').select('name').limit(1).execute()
      return { isReady: true }
    } catch (error) {
      return { isReady: false, detail: error instanceof Error ? error.message : String(error) }
    }
  }
}

type PartState = { readonly isReady: boolean; readonly detail?: string }

/** A log whose object store is away still takes records; one whose disk has failed does not. */
function logState({ fault, trouble }: LogAgent): PartState {
  const detail = fault?.message ?? trouble?.message
  return { isReady: fault === undefined, ...(detail === undefined ? {} : { detail }) }
}

function required<T>(part: T | undefined): T {
  if (part === undefined) throw new AppError('INTERNAL', 'a part is used before it is started; add it to the needs of its user')
  return part
}

/** An address as it stands in a URL that somebody on this machine can open. */
function hostForUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
