import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { Accumulator } from './accumulator.ts'
import { AckDeadlines } from './ack-deadlines.ts'
import type { Appended, AppendSink, LogObserver } from './append-run.ts'
import { Appender, type AppendOptions, type PackedBatches, type PartitionRef } from './appender.ts'
import { Backlog } from './backlog.ts'
import { Collector } from './collector.ts'
import { Committer } from './committer.ts'
import { fetchPartitions, type FetchedPartition, type FetchRequest } from './fetch.ts'
import { Groups } from './groups/groups.ts'
import { Leases } from './leases.ts'
import type { LogSpan } from './log-span.ts'
import { LogReader, type FoundOffset, type OffsetQuery } from './log-reader.ts'
import type { LogMetadata } from './metadata/log-metadata.ts'
import { ExtentReader } from './objects/extent-reader.ts'
import type { Partition } from './partition.ts'
import { recoverWal } from './recovery.ts'
import { Repeating } from './repeating.ts'
import { Retention } from './retention.ts'
import type { LogSettings } from './settings.ts'
import { TailCache } from './tail-cache.ts'
import type { Topic } from './topic.ts'
import { Topics } from './topics.ts'
import type { Disk } from './wal/disk.ts'
import { Wal } from './wal/wal.ts'

export type LogAgentOptions = {
  readonly settings: LogSettings
  readonly metadata: LogMetadata
  readonly objects: ObjectStore
  /** Where the write-ahead log is; absent: there is none, and every topic waits for the object store. */
  readonly walDirectory: string | undefined
  readonly disk: Disk
  readonly clock: Clock
  readonly timers: Timers
  readonly random: () => number
  /** Sortable ids, for objects. */
  readonly newId: () => string
  /** Random UUIDs, for topics. */
  readonly newUuid: () => string
  readonly observer?: LogObserver
  readonly log: Logger
}

/** The agent without a write-ahead log still needs a name that lasts. */
const walIdWithoutWal = 'none'
const producerIdsPerBlock = 1000
const retentionIntervalMs = 60_000
const collectorIntervalMs = 60_000
const producerExpiryIntervalMs = 3_600_000
/** An idempotent producer that was silent for so long begins anew. */
const producerRetentionMs = 7 * 24 * 3_600_000
const groupLimits = { minSessionTimeoutMs: 1000, maxSessionTimeoutMs: 1_800_000, maxGroups: 10_000, maxMembers: 1000 } as const
/** How long a stop waits for the object store; what is not there by then stays in the write-ahead log. */
const closeTimeoutMs = 10_000
/** How long a change of a topic waits for it. */
const flushTimeoutMs = 15_000

/**
 * The event log of one node.
 *
 *   append ─► Partition (offsets, sequences) ─► Wal (synced) ─► Accumulator ─► Committer ─► object store, database
 *                  │                                                                              │
 *   fetch  ◄───────┴── recent batches in memory ◄─────── write-ahead log ◄────── extents ◄────────┘
 *
 * A record is acknowledged when it is as durable as its topic, or its request, asks for, and shown to consumers when it is as durable as its topic asks for.
 */
export class LogAgent implements AsyncDisposable {
  readonly agentId: string
  /** This agent on the Kafka wire. */
  readonly nodeId = 1
  readonly topics: Topics
  readonly groups: Groups
  readonly reader: LogReader
  readonly #options: LogAgentOptions
  readonly #wal: Wal | undefined
  readonly #backlog: Backlog
  readonly #accumulator: Accumulator
  readonly #appender: Appender
  readonly #committer: Committer
  readonly #leases: Leases
  readonly #tailCache: TailCache
  readonly #extents: ExtentReader
  /** Stopped before anything else is. */
  readonly #background = new AsyncDisposableStack()
  #producerIds: Promise<{ next: number; end: number }> | undefined

  /**
   * Locks the write-ahead log, takes the partitions over and brings back what was acknowledged and not committed. Throws `LOG_UNAVAILABLE` when another process has
   * the write-ahead log, and what disk, database and object store throw.
   */
  static async open(options: LogAgentOptions): Promise<LogAgent> {
    let agent: LogAgent | undefined
    const wal = await openWal(options, (error) => agent?.fail(error))
    try {
      const walId = wal?.id ?? walIdWithoutWal
      const { agentId, isConfirmed } = await options.metadata.registerAgent({ walId, nowMs: options.clock.nowMs() })
      agent = new LogAgent(options, { wal, walId, agentId })
      await agent.#start({ isConfirmed })
      return agent
    } catch (error) {
      if (agent) await agent.#giveUp()
      await wal?.[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(
    options: LogAgentOptions,
    { wal, walId, agentId }: { wal: Wal | undefined; walId: string; agentId: string },
  ) {
    const { settings, metadata, objects, clock, timers, log } = options
    this.#options = options
    this.#wal = wal
    this.agentId = agentId
    this.#leases = new Leases({ agentId, walId, hasWal: wal !== undefined, metadata, log })
    this.#backlog = new Backlog({ memoryBytes: settings.memoryBytes })
    this.#tailCache = new TailCache({ capacityBytes: settings.cacheBytes })
    this.#extents = new ExtentReader({ objects, cacheBytes: settings.coldCacheBytes, concurrency: settings.coldReads })
    this.reader = new LogReader({ metadata, extents: this.#extents, wal })
    const { random, newId } = options
    const { tailCache, backlog } = { tailCache: this.#tailCache, backlog: this.#backlog }
    this.#committer = new Committer({ agentId, metadata, objects, wal, backlog, tailCache, clock, timers, random, newId, log })
    const onClosed = this.#committer.enqueue.bind(this.#committer)
    this.#accumulator = new Accumulator({ limits: settings, clock, timers, onClosed })
    const { newUuid } = options
    const listener = {
      acquire: (partitions: readonly Partition[]) => this.#leases.acquire(partitions),
      commit: (topic: Topic) => this.#commit(topic),
      deleted: (topic: Topic) => this.#forget(topic),
    }
    this.topics = new Topics({ metadata, settings, hasWal: wal !== undefined, clock, newUuid, listener })
    this.#appender = new Appender({
      topics: this.topics,
      wal,
      backlog,
      accumulator: this.#accumulator,
      leases: this.#leases,
      deadlines: new AckDeadlines({ clock, timers }),
      objectAckMs: settings.objectAckMilliseconds,
      clock,
      observer: options.observer,
    })
    this.groups = new Groups({
      metadata,
      clock,
      timers,
      newId,
      log,
      settings: {
        ...groupLimits,
        initialRebalanceDelayMs: settings.groupRebalanceMilliseconds,
        offsetRetentionMs: settings.offsetRetentionHours * 3_600_000,
      },
      topicIdOf: (name) => this.topics.find(name)?.id,
      topicNameOf: (id) => this.topics.findById(id)?.name,
    })
  }

  /** Access rules and SCRAM credentials are kept with the rest. */
  get metadata(): LogMetadata {
    return this.#options.metadata
  }

  /** Why nothing can be appended; undefined while all is well. */
  get fault(): AppError | undefined {
    return this.#appender.fault
  }
  /** Why records wait for the object store longer than they should; undefined while all is well. */
  get trouble(): AppError | undefined {
    return this.#committer.trouble
  }
  get stats(): LogStats {
    return {
      wal: this.#wal?.stats,
      committer: this.#committer.stats,
      coldReads: this.#extents.stats,
      waitingBatches: this.#backlog.batchCount,
      waitingMemoryBytes: this.#backlog.usedBytes,
      cacheBytes: this.#tailCache.sizeBytes,
    }
  }

  /** Appends one whole record batch; see `Appender`. */
  append(ref: PartitionRef, bytes: Buffer, options: AppendOptions = {}): Promise<Appended> {
    return this.#appender.append(ref, bytes, options)
  }

  /** Appends batches to one partition; see `Appender`. */
  offer(ref: PartitionRef, batches: PackedBatches, options: AppendOptions, sink: AppendSink): void {
    this.#appender.offer(ref, batches, options, sink)
  }

  /** Reads many partitions; see `fetchPartitions`. */
  async fetch(request: FetchRequest): Promise<FetchedPartition[]> {
    return await fetchPartitions({ topics: this.topics, reader: this.reader, timers: this.#options.timers }, request)
  }

  /** Throws `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, and what reading throws. */
  async findOffset(ref: PartitionRef, at: OffsetQuery): Promise<FoundOffset> {
    return await this.reader.findOffset(this.topics.get(ref.topic).partition(ref.partition), at)
  }

  /** Deletes what is before an offset (-1: before the high watermark) and returns the new log start. Throws `OFFSET_OUT_OF_RANGE`. */
  async deleteRecords(ref: PartitionRef, beforeOffset: number): Promise<number> {
    const partition = this.topics.get(ref.topic).partition(ref.partition)
    const offset = beforeOffset === -1 ? partition.highWatermark : beforeOffset
    if (offset < 0 || offset > partition.highWatermark) {
      const message = `offset ${offset} is behind the end (${partition.highWatermark}) of ${partition.label}`
      throw new AppError('OFFSET_OUT_OF_RANGE', message)
    }
    // The database knows only what is committed.
    if (offset > partition.committedEnd) await this.#flushInTime()
    const { metadata, clock } = this.#options
    const deleted = await metadata.advanceLogStart({ partitionId: partition.id, offset, nowMs: clock.nowMs() })
    partition.markDeleted(deleted)
    return partition.logStart
  }

  /** A producer id that nobody else has. */
  async allocateProducerId(): Promise<number> {
    this.#producerIds ??= this.#allocateBlock()
    const block = await this.#producerIds.catch((error: unknown) => {
      this.#producerIds = undefined
      throw error
    })
    if (block.next < block.end) return block.next++
    this.#producerIds = undefined
    return await this.allocateProducerId()
  }

  /** Brings everything appended so far into the object store; resolves when it is committed, or the agent closes. */
  async flush(): Promise<void> {
    await this.#appender.synced()
    this.#accumulator.close()
    await this.#committer.settled()
  }

  /** Throws `LOG_UNAVAILABLE` when that takes longer than somebody who asked for something else should wait. */
  async #flushInTime(): Promise<void> {
    const late = Promise.withResolvers<never>()
    const message = `records are not in the object store within ${flushTimeoutMs / 1000} s; repeat when it is back`
    using _limit = this.#options.timers.after(flushTimeoutMs, () => late.reject(new AppError('LOG_UNAVAILABLE', message)))
    await Promise.race([this.flush(), late.promise])
  }

  /** The write-ahead log has failed: nothing is taken any more, and nothing that was not acknowledged will be (invariant I8). */
  fail(error: AppError): void {
    this.#appender.refuse(error)
    this.#options.log.error({ code: error.code, err: error }, 'event log takes no more records; see to the disk and start again')
    for (const partition of this.#partitions()) partition.fail(error)
  }

  /** Takes nothing more, brings what it has into the object store if that answers in time, and gives the partitions back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#appender.close()
    const { timers, log } = this.#options
    await this.#background.disposeAsync()
    using _limit = timers.after(closeTimeoutMs, () => this.#committer.close())
    await this.flush()
    this.#committer.close()
    if (this.#backlog.batchCount === 0) {
      await this.#leases
        .release(this.#partitions())
        .catch((error: unknown) => log.warn({ err: error }, 'partitions not given back'))
    }
    await this.#wal?.[Symbol.asyncDispose]()
  }

  /** Ends what a start that failed has begun. */
  async #giveUp(): Promise<void> {
    this.#appender.close()
    await this.#background.disposeAsync()
    this.#committer.close()
    await this.#committer.settled()
  }

  async #start({ isConfirmed }: { isConfirmed: boolean }): Promise<void> {
    const { metadata } = this.#options
    await this.topics.load()
    const partitions = new Map(this.#partitions().map((partition) => [partition.id, partition]))
    await this.#leases.acquire([...partitions.values()])
    for (const row of await metadata.loadProducers([...partitions.keys()])) partitions.get(row.partitionId)?.restoreProducer(row)
    if (this.#wal) await this.#recover(this.#wal, { partitions, isConfirmed })
    await this.groups.open()
    this.#background.use(this.groups)
    this.#startHousekeeping()
  }

  async #recover(
    wal: Wal,
    { partitions, isConfirmed }: { partitions: ReadonlyMap<number, Partition>; isConfirmed: boolean },
  ): Promise<void> {
    const { metadata, log } = this.#options
    const onSpan = (partition: Partition, span: LogSpan): void => {
      this.#backlog.add(span)
      if (this.#backlog.isOverBudget) this.#backlog.spill(span)
      this.#accumulator.add(partition, span, { isAwaited: false })
    }
    const recovered = await recoverWal({ wal, partitions, isConfirmed, log, onSpan })
    this.#accumulator.close()
    if (recovered.batches > 0) log.info(recovered, 'records brought back from the write-ahead log')
    if (recovered.unknown === 0) return isConfirmed ? undefined : await metadata.confirmAgent(this.agentId)
    const message = `the write-ahead log has ${recovered.unknown} batches for partitions that the database does not know`
    if (partitions.size === 0) {
      const remedy = 'point to the database that they belong to, or run "millrace log rebuild" first'
      throw new AppError('LOG_DAMAGED', `${message}; ${remedy}`)
    }
    log.error({ code: 'LOG_DAMAGED' }, `${message}; they are kept there`)
  }

  #startHousekeeping(): void {
    const { metadata, objects, clock, timers, random, log } = this.#options
    const onAdvanced = (partitionId: number, change: { logStart: number; freedBytes: number }): void => {
      this.#partitions()
        .find(({ id }) => id === partitionId)
        ?.markDeleted(change)
    }
    this.#background.use(new Retention({ metadata, clock, timers, log, intervalMs: retentionIntervalMs, onAdvanced }))
    this.#background.use(new Collector({ metadata, objects, clock, timers, random, log, intervalMs: collectorIntervalMs }))
    const expireProducers = async (): Promise<number> => {
      const updatedBeforeMs = clock.nowMs() - producerRetentionMs
      await metadata
        .expireProducers({ updatedBeforeMs })
        .catch((error: unknown) => log.warn({ err: error }, 'old producers not forgotten'))
      return producerExpiryIntervalMs
    }
    this.#background.use(new Repeating({ timers, firstDelayMs: producerExpiryIntervalMs, work: expireProducers }))
  }

  #partitions(): Partition[] {
    return this.topics.list().flatMap(({ partitions }) => partitions)
  }

  async #allocateBlock(): Promise<{ next: number; end: number }> {
    const next = await this.#options.metadata.allocateProducerIds(producerIdsPerBlock)
    return { next, end: next + producerIdsPerBlock }
  }

  async #commit({ name, partitions }: Topic): Promise<void> {
    const isOpen = (): boolean => partitions.some(({ committedEnd, highWatermark }) => committedEnd < highWatermark)
    if (isOpen()) await this.#flushInTime()
    if (isOpen()) throw new AppError('LOG_UNAVAILABLE', `records of topic "${name}" are not in the object store; repeat later`)
  }

  #forget(topic: Topic): void {
    for (const partition of topic.partitions) {
      for (const span of partition.recent.from(0)) {
        if (span.position && !span.hasReached('committed')) this.#wal?.settle(span.position)
      }
      partition.delete()
    }
  }
}

/** Figures for metrics. */
export type LogStats = {
  readonly wal: Wal['stats'] | undefined
  readonly committer: Committer['stats']
  readonly coldReads: ExtentReader['stats']
  readonly waitingBatches: number
  readonly waitingMemoryBytes: number
  readonly cacheBytes: number
}

async function openWal(options: LogAgentOptions, onFailure: (error: AppError) => void): Promise<Wal | undefined> {
  const { walDirectory, settings, disk, timers, newId, log } = options
  if (walDirectory === undefined) return undefined
  const { walSegmentBytes, walMaxBytes, minFreeBytes, walSyncMilliseconds } = settings
  const limits = { segmentBytes: walSegmentBytes, maxBytes: walMaxBytes, minFreeBytes, lingerMs: walSyncMilliseconds }
  return await Wal.open({ directory: walDirectory, disk, settings: limits, timers, log, newId, onFailure })
}
