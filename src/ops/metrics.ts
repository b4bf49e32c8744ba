import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client'
import { JobMetrics } from './job-metrics.ts'
import { LogMetrics } from './log-metrics.ts'
import { type Sample, scrapedCounter, scrapedGauge } from './scraped.ts'

/** What is told of a stream; figures over the last seconds, counters since the stream was made. */
export type StreamFigures = {
  readonly name: string
  readonly state: string
  readonly health: {
    readonly bitrateKbps: number
    readonly framesPerSecond: number
    readonly keyframeIntervalMs?: number
    readonly lastUnitAgeMs?: number
    readonly receivedUnits: number
    readonly receivedBytes: number
    readonly lostPackets: number
    readonly timestampJumps: number
    readonly outages: number
    readonly reconnects: number
    readonly droppedUnits: number
  }
  readonly recording: { readonly state: string }
}

type StorageFigures = {
  readonly stream: string
  readonly sizeBytes: number
  readonly segmentCount: number
  readonly waitingCount: number
  readonly waitingMs: number
}
type BackupFigures = { readonly createdAtMs: number; readonly sizeBytes: number }
type DiskFigures = { readonly totalBytes: number; readonly freeBytes: number }

/** Where the figures come from, asked once a scrape. A part that does not run in this process is absent. */
export type MetricSources = {
  readonly streams?: {
    list(): readonly StreamFigures[]
    readers(stream: string): readonly { readonly protocol: string }[]
  }
  readonly storage?: {
    usage(): Promise<readonly StorageFigures[]>
    findDiskSpace(): Promise<DiskFigures | undefined>
    readonly archiveFailures: number
  }
  readonly rtsp?: { connectionCount(): number }
  readonly database?: { loadBytes(): Promise<number> }
  /** Undefined: no backups are made by schedule. */
  readonly backups?: { findNewest(): Promise<BackupFigures | undefined>; readonly failureCount: number } | undefined
}

/** Metrics of a part of this process that keeps its own, in Prometheus' text format. */
export interface MetricsPage {
  text(): Promise<string>
}

/** What the sources said at this scrape. */
type Figures = {
  readonly streams: readonly StreamFigures[]
  readonly storage: readonly StorageFigures[]
  readonly disk: DiskFigures | undefined
  readonly databaseBytes: number | undefined
  readonly backup: BackupFigures | undefined
}

const recordingStates = ['off', 'waiting', 'recording', 'paused', 'failed']

/** Per stream, label `stream`. `undefined` leaves the stream out: there is nothing to tell yet. */
const streamGauges: Record<string, { help: string; value: (stream: StreamFigures) => number | undefined }> = {
  online: { help: '1 while the stream has a picture, else 0.', value: ({ state }) => (state === 'online' ? 1 : 0) },
  bitrate_bits_per_second: { help: 'Received media.', value: ({ health }) => health.bitrateKbps * 1000 },
  frames_per_second: { help: 'Received video frames.', value: ({ health }) => health.framesPerSecond },
  keyframe_interval_seconds: {
    help: 'Mean distance of the last keyframes.',
    value: ({ health }) => seconds(health.keyframeIntervalMs),
  },
  last_unit_age_seconds: { help: 'Time since the last access unit.', value: ({ health }) => seconds(health.lastUnitAgeMs) },
}

const streamCounters: Record<string, { help: string; value: (health: StreamFigures['health']) => number }> = {
  received_units_total: { help: 'Access units received.', value: (health) => health.receivedUnits },
  received_bytes_total: { help: 'Bytes of media received.', value: (health) => health.receivedBytes },
  lost_packets_total: { help: 'RTP packets missing or unusable.', value: (health) => health.lostPackets },
  timestamp_jumps_total: { help: 'Timestamps that jumped and were re-anchored.', value: (health) => health.timestampJumps },
  outages_total: { help: 'Times the stream went from online to offline.', value: (health) => health.outages },
  reconnects_total: { help: 'Times a source was connected to again.', value: (health) => health.reconnects },
  dropped_units_total: { help: 'Access units dropped for slow readers.', value: (health) => health.droppedUnits },
}

/**
 * How often the event loop's delay is looked at; the figures have this time in them. Each look wakes the process: at prom-client's 10 ms that was half of what
 * an idle worker took, 0.005 of a core.
 */
export const loopLookMs = 50

/** What Prometheus scrapes. Figures of streams and recordings are asked for at each scrape; only events are counted here. */
export class Metrics {
  /** Those of the event log. */
  readonly log: LogMetrics
  /** Those of jobs. */
  readonly jobs: JobMetrics
  readonly registry = new Registry()
  readonly #requests: Counter<'method' | 'route' | 'status'>
  readonly #requestSeconds: Histogram<'method' | 'route'>
  readonly #limited: Counter
  readonly #deleted: Counter<'reason'>
  readonly #deletedBytes: Counter<'reason'>
  readonly #archived: Counter
  readonly #archivedBytes: Counter
  readonly #pages = new Set<MetricsPage>()
  #sources: MetricSources = {}
  #figures: Figures = { streams: [], storage: [], disk: undefined, databaseBytes: undefined, backup: undefined }

  constructor({ version }: { version: string }) {
    const registers = [this.registry]
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: loopLookMs })
    this.#requests = new Counter({
      name: 'millrace_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames: ['method', 'route', 'status'],
      registers,
    })
    this.#requestSeconds = new Histogram({
      name: 'millrace_http_request_duration_seconds',
      help: 'Time to answer an HTTP request; media and WebSockets, where the client sets the pace, are left out.',
      labelNames: ['method', 'route'],
      buckets: [0.005, 0.025, 0.1, 0.25, 1, 2.5, 10],
      registers,
    })
    this.#limited = new Counter({
      name: 'millrace_http_requests_limited_total',
      help: 'HTTP requests refused because their client sent more than api.requestsPerSecond.',
      registers,
    })
    this.#deleted = new Counter({
      name: 'millrace_recording_deleted_total',
      help: 'Recorded files deleted, by reason.',
      labelNames: ['reason'],
      registers,
    })
    this.#deletedBytes = new Counter({
      name: 'millrace_recording_deleted_bytes_total',
      help: 'Bytes of recorded files deleted, by reason.',
      labelNames: ['reason'],
      registers,
    })
    this.#archived = new Counter({
      name: 'millrace_recording_archived_total',
      help: 'Recorded files copied to the archive.',
      registers,
    })
    this.#archivedBytes = new Counter({
      name: 'millrace_recording_archived_bytes_total',
      help: 'Bytes of recorded files copied to the archive.',
      registers,
    })
    this.#gauge('millrace_info', 'Always 1; the version is the label.', ['version'], () => [{ labels: { version }, value: 1 }])
    this.#gauge('millrace_database_bytes', 'Size of the database.', [], () => {
      const { databaseBytes: value } = this.#figures
      return value === undefined ? [] : [{ labels: {}, value }]
    })
    this.#addStreamMetrics()
    this.#addRecordingMetrics()
    this.#addConnectionMetrics()
    this.#addBackupMetrics()
    this.jobs = new JobMetrics(this.registry)
    this.log = new LogMetrics(this.registry)
  }

  get contentType(): string {
    return this.registry.contentType
  }

  /** Tells where figures come from; those given before and not now stay. */
  attach(sources: MetricSources): void {
    this.#sources = { ...this.#sources, ...sources }
  }

  /** Tells what a part keeps of itself along with the rest, until it is disposed. No name may be on two pages. */
  include(page: MetricsPage): Disposable {
    this.#pages.add(page)
    return { [Symbol.dispose]: () => this.#pages.delete(page) }
  }

  /** Counts a finished HTTP request. */
  observe({
    method,
    route,
    status,
    seconds: duration,
  }: {
    method: string
    route: string
    status: number
    seconds?: number
  }): void {
    this.#requests.inc({ method, route, status })
    if (duration !== undefined) this.#requestSeconds.observe({ method, route }, duration)
  }

  countLimited(): void {
    this.#limited.inc()
  }

  /** Counts a recorded file that was deleted. */
  countDeleted({ reason, sizeBytes }: { reason: string; sizeBytes: number }): void {
    this.#deleted.inc({ reason })
    this.#deletedBytes.inc({ reason }, sizeBytes)
  }

  /** Counts a recorded file that the archive has now. */
  countArchived({ sizeBytes }: { sizeBytes: number }): void {
    this.#archived.inc()
    this.#archivedBytes.inc(sizeBytes)
  }

  /** All of it in Prometheus' text format. Figures of a source that fails are left out. */
  async text(): Promise<string> {
    const { streams, storage, database, backups } = this.#sources
    this.#figures = {
      streams: streams?.list() ?? [],
      storage: (await orUndefined(storage?.usage())) ?? [],
      disk: await orUndefined(storage?.findDiskSpace()),
      databaseBytes: await orUndefined(database?.loadBytes()),
      backup: await orUndefined(backups?.findNewest()),
    }
    await this.log.prepare()
    const pages = await Promise.all([this.registry.metrics(), ...[...this.#pages].map((page) => page.text())])
    return pages.join('\n')
  }

  #addStreamMetrics(): void {
    const perStream = (value: (stream: StreamFigures) => number | undefined) => (): Sample[] =>
      this.#figures.streams.flatMap((stream) => {
        const figure = value(stream)
        return figure === undefined ? [] : [{ labels: { stream: stream.name }, value: figure }]
      })
    for (const [name, { help, value }] of Object.entries(streamGauges)) {
      this.#gauge(`millrace_stream_${name}`, help, ['stream'], perStream(value))
    }
    for (const [name, { help, value }] of Object.entries(streamCounters)) {
      this.#counter(
        `millrace_stream_${name}`,
        help,
        ['stream'],
        perStream(({ health }) => value(health)),
      )
    }
    this.#gauge('millrace_streams', 'Streams by state.', ['state'], () =>
      count(this.#figures.streams.map(({ state }) => ({ state }))),
    )
    this.#gauge('millrace_stream_readers', 'Readers by protocol.', ['stream', 'protocol'], () =>
      count(
        this.#figures.streams.flatMap(({ name }) =>
          (this.#sources.streams?.readers(name) ?? []).map(({ protocol }) => ({ stream: name, protocol })),
        ),
      ),
    )
  }

  #addRecordingMetrics(): void {
    const usage = (value: (usage: StorageFigures) => number) => (): Sample[] =>
      this.#figures.storage.map((one) => ({ labels: { stream: one.stream }, value: value(one) }))
    const disk = (value: (disk: DiskFigures) => number) => (): Sample[] =>
      this.#figures.disk ? [{ labels: {}, value: value(this.#figures.disk) }] : []
    this.#gauge(
      'millrace_recording_bytes',
      'Bytes of recorded files on the disk.',
      ['stream'],
      usage(({ sizeBytes }) => sizeBytes),
    )
    this.#gauge(
      'millrace_recording_segments',
      'Recorded files on the disk.',
      ['stream'],
      usage(({ segmentCount }) => segmentCount),
    )
    this.#gauge(
      'millrace_recording_archive_waiting_segments',
      'Closed files that are to be archived and are not yet.',
      ['stream'],
      usage(({ waitingCount }) => waitingCount),
    )
    this.#gauge(
      'millrace_recording_archive_waiting_seconds',
      'How long the first of these waits; 0 when none does.',
      ['stream'],
      usage(({ waitingMs }) => waitingMs / 1000),
    )
    this.#counter('millrace_recording_archive_failures_total', 'Uploads to the archive that failed.', [], () => {
      const { storage } = this.#sources
      return storage ? [{ labels: {}, value: storage.archiveFailures }] : []
    })
    this.#gauge(
      'millrace_recording_disk_free_bytes',
      'Free space where recordings go.',
      [],
      disk(({ freeBytes }) => freeBytes),
    )
    this.#gauge(
      'millrace_recording_disk_size_bytes',
      'Size of that disk.',
      [],
      disk(({ totalBytes }) => totalBytes),
    )
    this.#gauge(
      'millrace_recording_state',
      '1 for the state that recording of the stream is in, else 0.',
      ['stream', 'state'],
      () =>
        this.#figures.streams.flatMap(({ name, recording }) =>
          recordingStates.map((state) => ({ labels: { stream: name, state }, value: recording.state === state ? 1 : 0 })),
        ),
    )
  }

  #addConnectionMetrics(): void {
    this.#gauge('millrace_rtsp_connections', 'Open RTSP connections.', [], () => {
      const { rtsp } = this.#sources
      return rtsp ? [{ labels: {}, value: rtsp.connectionCount() }] : []
    })
  }

  #addBackupMetrics(): void {
    const newest = (value: (backup: BackupFigures) => number) => (): Sample[] =>
      this.#figures.backup ? [{ labels: {}, value: value(this.#figures.backup) }] : []
    this.#gauge(
      'millrace_backup_last_success_timestamp_seconds',
      'When the newest backup of the database was made.',
      [],
      newest(({ createdAtMs }) => createdAtMs / 1000),
    )
    this.#gauge(
      'millrace_backup_size_bytes',
      'Size of that backup.',
      [],
      newest(({ sizeBytes }) => sizeBytes),
    )
    this.#counter('millrace_backup_failures_total', 'Backups by schedule that failed.', [], () => {
      const { backups } = this.#sources
      return backups ? [{ labels: {}, value: backups.failureCount }] : []
    })
  }

  #gauge(name: string, help: string, labelNames: string[], samples: () => Sample[]): void {
    scrapedGauge({ registry: this.registry, name, help, labelNames, samples })
  }

  #counter(name: string, help: string, labelNames: string[], samples: () => Sample[]): void {
    scrapedCounter({ registry: this.registry, name, help, labelNames, samples })
  }
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}

/** How many there are of each set of labels. */
function count(all: readonly Record<string, string>[]): Sample[] {
  const counts = new Map<string, Sample>()
  for (const labels of all) {
    const key = JSON.stringify(labels)
    counts.set(key, { labels, value: (counts.get(key)?.value ?? 0) + 1 })
  }
  return [...counts.values()]
}

/** A scrape goes on without what cannot be had: that the database is away is what the other figures then show. */
async function orUndefined<T>(figures: Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await figures
  } catch {
    return undefined
  }
}
