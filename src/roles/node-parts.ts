import { join, resolve } from 'node:path'
import { ApiServer, type LiveServices } from '#api/server.ts'
import { jobMedia } from '#api/job-media.ts'
import type { Mount } from '#api/mounts.ts'
import type { WatchEndpoints } from '#api/stream-view.ts'
import type { PartView, SettingView } from '#api/contract.ts'
import { AccessList } from '#auth/access.ts'
import { HttpAccess } from '#auth/http-access.ts'
import { UrlSigner } from '#auth/url-signer.ts'
import type { LogAgent } from '#eventlog/agent.ts'
import type { PlatformEvents } from '#eventlog/platform/platform-events.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { EventSink } from '#live/events.ts'
import { StreamPackaging } from '#live/packaging.ts'
import { sqlRecordingIndex } from '#live/recorder/queries.ts'
import { Recordings } from '#live/recordings.ts'
import { StreamRegistry } from '#live/registry.ts'
import { pullRtsp } from '#live/sources/rtsp/rtsp-source.ts'
import { deleteStreamRow, loadStreamRows, saveStreamRow } from '#live/stream-queries.ts'
import { Metrics } from '#ops/metrics.ts'
import { MetricsServer } from '#ops/metrics-server.ts'
import { createHlsHandler, type HlsHandler } from '#servers/hls/handler.ts'
import type { GrpcServer } from '#servers/grpc/server.ts'
import type { KafkaServer } from '#servers/kafka/server.ts'
import { RtspServer } from '#servers/rtsp/server.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { observeObjectStore } from '#store/objects/observed-store.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { openDatabase } from '#store/sql/database.ts'
import { loadDatabaseBytes } from '#store/sql/database-size.ts'
import type { Database } from '#store/sql/schema.ts'
import type { NodeAddresses } from './node.ts'
import { hlsHub, hlsReaders } from './hls-hub.ts'
import { openJobs, type JobsPart } from './jobs-part.ts'
import { openLogAgent, openPlatformEvents } from './log-part.ts'
import { startGrpc, startKafka } from './log-servers.ts'
import { logSources } from './log-sources.ts'
import type { Part } from './roles.ts'
import { loadSigningSecret } from './signing-secret.ts'
import { startWorkerPart, type WorkerPart } from './worker-part.ts'
import { databaseUrl, type Settings } from './settings.ts'

/** What every part is built from. `settings` and `showConfiguration` are replaced by a reload. */
export type PartContext = {
  settings: Settings
  showConfiguration: () => readonly SettingView[]
  readonly identity: { readonly version: string; readonly startedAtMs: number; readonly roles: readonly string[] }
  readonly clock: Clock
  readonly log: Logger
}

/** Where the web application was built to. */
const webDirectory = join(import.meta.dirname, '../../web/dist')

/** Builds, keeps and ends the parts of a process; nothing else. */
export class NodeParts {
  readonly #context: PartContext
  readonly #access: AccessList
  readonly #metrics: Metrics
  readonly #running = new Map<Part, AsyncDisposable>()
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
    database: async () => (this.#database = await this.#openDatabase()),
    objects: async () => (this.#objects = await this.#openObjects()),
    log: async () => (this.#log = await this.#openLog()),
    events: async () => (this.#events = await openPlatformEvents(required(this.#log), this.#context)),
    recordings: async () => (this.#recordings = await this.#openRecordings()),
    streams: () => this.#openStreams(),
    jobs: async () => (this.#jobs = await this.#openJobs()),
    rtsp: async () => (this.#rtsp = await this.#startRtsp()),
    kafka: async () => (this.#kafka = await startKafka(this.#logServerDeps)),
    grpc: async () => (this.#grpc = await startGrpc(this.#logServerDeps)),
    api: async () => (this.#api = await this.#startApi()),
    worker: async () => (this.#worker = await this.#startWorker()),
    metrics: async () => (this.#metricsServer = await this.#startMetrics()),
  }

  constructor(context: PartContext) {
    this.#context = context
    this.#access = new AccessList(context.settings.users)
    this.#metrics = new Metrics({ version: context.identity.version })
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

  /** Takes on what needs no restart: users and streams. Gives back the streams that it touched. */
  async takeOn(settings: Settings): Promise<string[]> {
    this.#access.replace(settings.users)
    const result = await this.#streams?.reconcile({ defaults: settings.streamDefaults, streams: settings.streams })
    return result ? [...result.added, ...result.changed, ...result.removed].map((name) => `streams.${name}`) : []
  }

  async #stop(part: Part): Promise<void> {
    const value = this.#running.get(part)
    this.#running.delete(part)
    await value?.[Symbol.asyncDispose]()
  }

  #openDatabase(): Promise<Database> {
    const { settings, log, clock } = this.#context
    return openDatabase({ url: databaseUrl(settings), log, clock })
  }

  #openRecordings(): Promise<Recordings> {
    const { settings, clock, log } = this.#context
    const directory = resolve(settings.recordings.directory ?? join(settings.server.dataDirectory, 'recordings'))
    const index = sqlRecordingIndex(required(this.#database).db)
    return Recordings.open({ directory, settings: settings.recordings, index, events: this.#eventSink(), clock, log })
  }

  async #openStreams(): Promise<AsyncDisposable> {
    const { settings, clock, log } = this.#context
    const { db } = required(this.#database)
    const recordings = required(this.#recordings)
    const { live, streamDefaults } = settings
    const registry: StreamRegistry = new StreamRegistry({
      settings: live,
      store: {
        load: () => loadStreamRows(db, log),
        save: (stream) => saveStreamRow(db, stream),
        delete: (name) => deleteStreamRow(db, name),
      },
      pull: pullRtsp({ clock, log }),
      events: this.#eventSink(),
      clock,
      log,
      viewers: (stream) => hlsReaders(this.#hls?.viewers(stream) ?? []),
      packagingFor: (stream, onWatchedChange) => {
        const recorder = recordings.recorderFor(stream.name, streamDefaults.recording.segmentSeconds)
        const releaseRecorder = recordings.release.bind(recordings)
        return new StreamPackaging({ stream, settings: live, recorder, releaseRecorder, clock, log, onWatchedChange })
      },
    })
    this.#streams = registry
    await registry.open({ defaults: streamDefaults, streams: settings.streams })
    recordings.startRetention((name) => registry.find(name)?.spec.recording)
    return { [Symbol.asyncDispose]: () => registry.close() }
  }

  #startRtsp(): Promise<RtspServer> {
    const { settings, clock, log } = this.#context
    return RtspServer.listen({ hub: required(this.#streams), access: this.#access, clock, log, settings: settings.rtsp })
  }

  async #openObjects(): Promise<ObjectStore> {
    const { settings, clock, log } = this.#context
    const store = await openObjectStore(settings.objects, { dataDirectory: settings.server.dataDirectory, clock, log })
    return observeObjectStore(store, { clock, onRequest: (request) => this.#metrics.log.storeAnswered(request) })
  }

  async #openLog(): Promise<LogAgent> {
    const { database, objects } = { database: required(this.#database), objects: required(this.#objects) }
    const agent = await openLogAgent({ ...this.#context, database, objects, observer: this.#metrics.log })
    this.#metrics.log.attach({ log: logSources(agent), kafka: () => this.#kafka?.stats, grpc: () => this.#grpc?.stats })
    return agent
  }

  get #logServerDeps(): Parameters<typeof startKafka>[0] {
    const { settings, clock, log } = this.#context
    return { agent: required(this.#log), settings, access: this.#access, clock, log }
  }

  #startApi(): Promise<ApiServer> {
    const { settings, clock, log, identity } = this.#context
    const live = this.#liveServices()
    const records = this.#log && this.#events && { eventLog: this.#log, events: this.#events }
    return ApiServer.start({
      host: settings.api.host,
      port: settings.api.port,
      allowedOrigins: settings.api.allowedOrigins,
      access: new HttpAccess({ users: this.#access, signer: required(this.#signer) }),
      webDirectory,
      observer: this.#metrics,
      ...(live && { live, mounts: [live.hls] }),
      ...(records && { records }),
      jobs: required(this.#jobs).services,
      config: { list: () => this.#context.showConfiguration() },
      node: { ...identity, parts: () => this.#partViews() },
      clock,
      log,
    })
  }

  async #openJobs(): Promise<JobsPart> {
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
    })
    this.#metrics.jobs.attach(() => part.fleet)
    return part
  }

  async #startWorker(): Promise<WorkerPart | undefined> {
    const { settings, identity, log } = this.#context
    if (!settings.worker.enabled) return undefined
    const own = this.#api && { url: this.#api.url, credential: `${this.#access.own.name}:${this.#access.own.password}` }
    return await startWorkerPart({ settings, version: identity.version, own, log })
  }

  /** Streams and recordings as the API serves them; undefined where this node has none. */
  #liveServices(): (LiveServices & { readonly hls: Mount }) | undefined {
    const [streams, recordings] = [this.#streams, this.#recordings]
    if (!streams || !recordings) return undefined
    const { clock, log } = this.#context
    const handler = createHlsHandler({ hub: hlsHub(streams), clock, log })
    this.#hls = handler
    const hls: Mount = { prefix: '/hls/', handle: (request, response, target) => handler.handle(request, response, target) }
    const endpoints = watchEndpoints(hls.prefix, () => this.#rtsp?.port)
    return { streams, endpoints, recordings, playback: recordings.playback, storage: recordings, hls }
  }

  async #startMetrics(): Promise<MetricsServer | undefined> {
    const { settings, log } = this.#context
    if (!settings.metrics.enabled) return undefined
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

  /** Events of streams and recordings go to the event log; deletions are counted. */
  #eventSink(): EventSink {
    const events = required(this.#events)
    return {
      emit: (event) => {
        const { type, stream, ...data } = event
        events.append({ type, subject: stream, data })
        if (event.type === 'recording.deleted') this.#metrics.countDeleted(event)
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

/** A reload may move the RTSP server to another port while the API stays. */
function watchEndpoints(hlsPrefix: string, findRtspPort: () => number | undefined): WatchEndpoints {
  return {
    hlsPrefix,
    get rtspPort() {
      return findRtspPort()
    },
  }
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
