import { Counter, Histogram, type Registry } from 'prom-client'
import { AckHistogram } from './ack-histogram.ts'
import { type Sample, scrapedCounter, scrapedGauge } from './scraped.ts'

/** A topic, with all its partitions together. `appended` and `fetched` count since the start. */
export type TopicFigures = {
  readonly name: string
  readonly partitionCount: number
  readonly keptRecords: number
  readonly sizeBytes: number
  readonly appended: { readonly records: number; readonly bytes: number }
  readonly fetched: { readonly records: number; readonly bytes: number }
  /** Partitions that take no records: not owned, or at fault. */
  readonly refusingPartitions: number
}

/** The log as a whole. */
export type LogFigures = {
  readonly wal:
    | {
        readonly entryCount: number
        readonly sizeBytes: number
        readonly segmentCount: number
        readonly syncCount: number
        readonly isFailed: boolean
      }
    | undefined
  readonly committer: { readonly objectCount: number; readonly committedBytes: number; readonly waitingObjects: number }
  readonly coldReads: { readonly hits: number; readonly misses: number; readonly loadedBytes: number }
  readonly waitingBatches: number
  readonly waitingMemoryBytes: number
  readonly cacheBytes: number
}

/** How far a group is behind in a topic, over all partitions. */
export type GroupLag = { readonly group: string; readonly topic: string; readonly records: number }

/** Where the figures come from, asked once a scrape. */
export type LogSources = {
  topics(): readonly TopicFigures[]
  figures(): LogFigures
  groups(): readonly { readonly state: string }[]
  lags(): Promise<readonly GroupLag[]>
}

/** A server that speaks for the log. */
export type ServerFigures = {
  readonly connections: number
  readonly requestsByApi: Readonly<Record<string, number>>
  readonly errorsByCode: Readonly<Record<string, number>>
}

const perTopic: Record<string, { help: string; isCounter: boolean; value: (topic: TopicFigures) => number }> = {
  partitions: { help: 'Partitions.', isCounter: false, value: ({ partitionCount }) => partitionCount },
  refusing_partitions: {
    help: 'Partitions that take no records now.',
    isCounter: false,
    value: ({ refusingPartitions }) => refusingPartitions,
  },
  kept_records: {
    help: 'Records between log start and high watermark.',
    isCounter: false,
    value: ({ keptRecords }) => keptRecords,
  },
  bytes: { help: 'Bytes in the object store.', isCounter: false, value: ({ sizeBytes }) => sizeBytes },
  produced_records_total: { help: 'Records taken from producers.', isCounter: true, value: ({ appended }) => appended.records },
  produced_bytes_total: { help: 'Bytes taken from producers.', isCounter: true, value: ({ appended }) => appended.bytes },
  consumed_records_total: { help: 'Records given to consumers.', isCounter: true, value: ({ fetched }) => fetched.records },
  consumed_bytes_total: { help: 'Bytes given to consumers.', isCounter: true, value: ({ fetched }) => fetched.bytes },
}

const figures: Record<string, { help: string; isCounter: boolean; value: (log: LogFigures) => number | undefined }> = {
  wal_entries: {
    help: 'Batches in the write-ahead log that are not committed yet.',
    isCounter: false,
    value: ({ wal }) => wal?.entryCount,
  },
  wal_bytes: { help: 'Size of the write-ahead log on disk.', isCounter: false, value: ({ wal }) => wal?.sizeBytes },
  wal_segments: { help: 'Files of the write-ahead log with entries.', isCounter: false, value: ({ wal }) => wal?.segmentCount },
  wal_syncs_total: { help: 'Times the write-ahead log was synced to disk.', isCounter: true, value: ({ wal }) => wal?.syncCount },
  wal_failed: {
    help: '1 when the disk of the write-ahead log has failed; nothing is taken until a restart.',
    isCounter: false,
    value: ({ wal }) => wal && Number(wal.isFailed),
  },
  objects_committed_total: { help: 'Objects committed.', isCounter: true, value: ({ committer }) => committer.objectCount },
  committed_bytes_total: { help: 'Bytes of those objects.', isCounter: true, value: ({ committer }) => committer.committedBytes },
  waiting_objects: {
    help: 'Objects that wait for the object store or the database.',
    isCounter: false,
    value: ({ committer }) => committer.waitingObjects,
  },
  waiting_batches: {
    help: 'Batches that are not in the object store yet.',
    isCounter: false,
    value: (log) => log.waitingBatches,
  },
  waiting_memory_bytes: { help: 'Memory that they take.', isCounter: false, value: (log) => log.waitingMemoryBytes },
  tail_cache_bytes: { help: 'Newest records kept in memory for consumers.', isCounter: false, value: (log) => log.cacheBytes },
  cold_read_hits_total: { help: 'Blocks of objects found in memory.', isCounter: true, value: ({ coldReads }) => coldReads.hits },
  cold_read_misses_total: {
    help: 'Blocks read from the object store.',
    isCounter: true,
    value: ({ coldReads }) => coldReads.misses,
  },
  cold_read_bytes_total: { help: 'Bytes of those.', isCounter: true, value: ({ coldReads }) => coldReads.loadedBytes },
}

/** The gRPC server, by method and by status of the calls that have ended. */
export type GrpcFigures = {
  readonly connections: number
  readonly callsByMethod: Readonly<Record<string, number>>
  readonly endedByStatus: Readonly<Record<string, number>>
}

/** What is told of the event log. Durations and refusals are counted here, the rest is asked for at each scrape. */
export class LogMetrics {
  readonly #registry: Registry
  readonly #ackSeconds: AckHistogram
  readonly #refused: Counter<'code'>
  readonly #storeSeconds: Histogram<'operation' | 'result'>
  #sources: LogSources | undefined
  #lags: readonly GroupLag[] = []
  #kafka: (() => ServerFigures | undefined) | undefined
  #grpc: (() => GrpcFigures | undefined) | undefined

  constructor(registry: Registry) {
    this.#registry = registry
    const registers = [registry]
    this.#ackSeconds = new AckHistogram(registry)
    this.#refused = new Counter({
      name: 'millrace_log_refused_batches_total',
      help: 'Batches that were not taken, by error code.',
      labelNames: ['code'],
      registers,
    })
    this.#storeSeconds = new Histogram({
      name: 'millrace_object_store_request_duration_seconds',
      help: 'Requests to the object store.',
      labelNames: ['operation', 'result'],
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    })
    this.#addTopics()
    this.#addFigures()
    this.#addGroups()
    this.#addServers()
  }

  /** Tells where figures come from. */
  attach(sources: { log: LogSources; kafka: () => ServerFigures | undefined; grpc: () => GrpcFigures | undefined }): void {
    this.#sources = sources.log
    this.#kafka = sources.kafka
    this.#grpc = sources.grpc
  }

  /** Asks, before a scrape, for what cannot be had at once. What fails is left out. */
  async prepare(): Promise<void> {
    try {
      this.#lags = (await this.#sources?.lags()) ?? []
    } catch {
      this.#lags = []
    }
  }

  /** Batches were acknowledged. */
  acknowledged(ack: string, seconds: number, batches: number): void {
    this.#ackSeconds.count(ack, seconds, batches)
  }

  /** A batch was refused. */
  refused(code: string): void {
    this.#refused.inc({ code })
  }

  /** The object store has answered. `result` is `ok` or an error code. */
  storeAnswered({ operation, result, seconds }: { operation: string; result: string; seconds: number }): void {
    this.#storeSeconds.observe({ operation, result }, seconds)
  }

  #addTopics(): void {
    for (const [name, { help, isCounter, value }] of Object.entries(perTopic)) {
      this.#scraped(isCounter, `millrace_topic_${name}`, help, ['topic'], () =>
        (this.#sources?.topics() ?? []).map((topic) => ({ labels: { topic: topic.name }, value: value(topic) })),
      )
    }
  }

  #addFigures(): void {
    for (const [name, { help, isCounter, value }] of Object.entries(figures)) {
      this.#scraped(isCounter, `millrace_log_${name}`, help, [], () => {
        const figure = this.#sources && value(this.#sources.figures())
        return figure === undefined ? [] : [{ labels: {}, value: figure }]
      })
    }
  }

  #addGroups(): void {
    this.#scraped(false, 'millrace_log_groups', 'Consumer groups by state.', ['state'], () => {
      const counts = new Map<string, number>()
      for (const { state } of this.#sources?.groups() ?? []) counts.set(state, (counts.get(state) ?? 0) + 1)
      return [...counts].map(([state, value]) => ({ labels: { state }, value }))
    })
    this.#scraped(false, 'millrace_group_lag_records', 'Records that a group has not committed.', ['group', 'topic'], () =>
      this.#lags.map(({ group, topic, records }) => ({ labels: { group, topic }, value: records })),
    )
  }

  #addServers(): void {
    const kafka = () => this.#kafka?.()
    const grpc = () => this.#grpc?.()
    this.#counted('millrace_kafka_requests_total', 'Requests of Kafka clients.', 'api', () => kafka()?.requestsByApi)
    this.#counted(
      'millrace_kafka_errors_total',
      'Errors told to Kafka clients, by Kafka error code.',
      'code',
      () => kafka()?.errorsByCode,
    )
    this.#counted('millrace_grpc_calls_total', 'Calls of gRPC clients.', 'method', () => grpc()?.callsByMethod)
    this.#counted('millrace_grpc_ended_calls_total', 'Calls that have ended, by status.', 'status', () => grpc()?.endedByStatus)
    for (const [name, find] of Object.entries({ kafka, grpc })) {
      this.#scraped(false, `millrace_${name}_connections`, `Open ${name} connections.`, [], () => {
        const server = find()
        return server ? [{ labels: {}, value: server.connections }] : []
      })
    }
  }

  #counted(name: string, help: string, label: string, find: () => Readonly<Record<string, number>> | undefined): void {
    this.#scraped(true, name, help, [label], () =>
      Object.entries(find() ?? {}).map(([key, value]): Sample => ({ labels: { [label]: key }, value })),
    )
  }

  #scraped(isCounter: boolean, name: string, help: string, labelNames: string[], samples: () => readonly Sample[]): void {
    const scraped = { registry: this.#registry, name, help, labelNames, samples }
    if (isCounter) scrapedCounter(scraped)
    else scrapedGauge(scraped)
  }
}
