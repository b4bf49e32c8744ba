import { Value } from 'typebox/value'
import type {
  AcquiredPartition,
  CommitAnswer,
  LogMetadata,
  ObjectCommit,
  ProducerRow,
  RunRow,
} from '#eventlog/metadata/log-metadata.ts'
import { topicConfigSchema } from '#eventlog/topic-config.ts'

export const config = Value.Parse(topicConfigSchema, Value.Default(topicConfigSchema, {}))
export const nowMs = Date.UTC(2026, 0, 1)
const ceilingStep = 1_000_000

/** What the suites need of an implementation. */
export interface MetadataServer extends AsyncDisposable {
  /** A new, empty log; `open` gives a connection of its own each time. */
  createLog(): Promise<{ open(): Promise<OpenedMetadata>; takeAway(): Promise<AsyncDisposable> }>
}
export type OpenedMetadata = AsyncDisposable & { readonly metadata: LogMetadata }

/** A test's own log: `using`, an agent, and the connections that must be closed. */
export class TestLog implements AsyncDisposable {
  readonly metadata: LogMetadata
  readonly #log: Awaited<ReturnType<MetadataServer['createLog']>>
  readonly #opened: OpenedMetadata[]
  #objects = 0

  static async create(server: MetadataServer): Promise<TestLog> {
    const log = await server.createLog()
    return new TestLog(log, await log.open())
  }

  private constructor(log: Awaited<ReturnType<MetadataServer['createLog']>>, opened: OpenedMetadata) {
    this.#log = log
    this.#opened = [opened]
    this.metadata = opened.metadata
  }

  /** Another process on the same log. */
  async openAnother(): Promise<LogMetadata> {
    const opened = await this.openToClose()
    this.#opened.push(opened)
    return opened.metadata
  }

  /** Another process that the test itself ends. */
  async openToClose(): Promise<OpenedMetadata> {
    return await this.#log.open()
  }

  takeAway(): Promise<AsyncDisposable> {
    return this.#log.takeAway()
  }

  /** An agent that owns the partitions of a new topic. */
  async ownTopic(partitionCount = 1, { walId = 'wal-a', name = 'orders' } = {}): Promise<Owner> {
    const { agentId } = await this.metadata.registerAgent({ walId, nowMs })
    const topic = await this.createTopic(name, partitionCount)
    const wanted = topic.partitions.map(({ partitionId }) => ({ partitionId, isDirty: true }))
    const partitions = await this.metadata.acquirePartitions({ agentId, walId, partitions: wanted, ceilingStep })
    return { agentId, walId, topicId: topic.id, partitions }
  }

  async createTopic(name: string, partitionCount = 1) {
    return await this.metadata.createTopic({ id: crypto.randomUUID(), name, config, partitionCount, nowMs })
  }

  /** The id of a reserved object: they are in order. */
  async reserve(agentId: string, { reservedAtMs = nowMs } = {}): Promise<string> {
    this.#objects += 1
    const id = `object-${String(this.#objects).padStart(6, '0')}`
    await this.metadata.reserveObjects({ agentId, objects: [{ id, key: `data/${id}` }], nowMs: reservedAtMs })
    return id
  }

  /** Reserves an object and commits it. */
  async commit(agentId: string, runs: readonly RunRow[], rest: Partial<ObjectCommit> = {}): Promise<CommitAnswer> {
    const objectId = await this.reserve(agentId)
    return await this.metadata.commitObject({ ...commitOf(agentId, objectId, runs), ...rest })
  }

  /** One object for each hundred records of the partition. */
  async fill(owner: Owner, { objects, partition = 0 }: { objects: number; partition?: number }): Promise<void> {
    const { partitionId, epoch } = at(owner.partitions, partition)
    for (let n = 0; n < objects; n++) {
      await this.commit(owner.agentId, [runOf({ partitionId, epoch, baseOffset: n * 100, minTimestampMs: nowMs + n * 1000 })])
    }
  }

  /** As `loadTopics` has it. */
  async partition(partitionId: number) {
    const topics = await this.metadata.loadTopics()
    const partition = topics.flatMap((topic) => topic.partitions).find((one) => one.partitionId === partitionId)
    if (!partition) throw new Error(`no partition ${partitionId}`)
    return partition
  }

  async extents(partitionId: number) {
    return await this.metadata.findExtents({ partitionId, fromOffset: 0, limit: 10_000 })
  }

  /** Objects that may be deleted, by id. */
  async deletable(): Promise<string[]> {
    const found = await this.metadata.findDeletable({ deletingBeforeMs: Number.MAX_SAFE_INTEGER, limit: 10_000 })
    return found.map(({ id }) => id).toSorted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of this.#opened) await opened[Symbol.asyncDispose]()
  }
}

export type Owner = {
  readonly agentId: string
  readonly walId: string
  readonly topicId: string
  readonly partitions: readonly AcquiredPartition[]
}

type Place = Pick<RunRow, 'partitionId' | 'epoch' | 'baseOffset'>

/** A run of a hundred records in ten batches. */
export function runOf(place: Place & Partial<RunRow>): RunRow {
  const { baseOffset, minTimestampMs = nowMs } = place
  return {
    lastOffset: baseOffset + 99,
    positionBytes: 0,
    lengthBytes: 1000,
    minTimestampMs,
    maxTimestampMs: minTimestampMs + 500,
    batchCount: 10,
    sparse: [{ offset: baseOffset + 50, positionBytes: 500, maxTimestampMs: minTimestampMs + 250 }],
    ...place,
  }
}

export function commitOf(
  agentId: string,
  objectId: string,
  runs: readonly RunRow[],
  producers: readonly ProducerRow[] = [],
): ObjectCommit {
  return { agentId, objectId, sizeBytes: 4096, runs, producers, nowMs }
}

/** A producer whose last batches are of ten records, the last of them up to `lastOffset`. */
export function producerOf(partitionId: number, { producerId = 7, lastOffset = 99, count = 1 } = {}): ProducerRow {
  const batches = Array.from({ length: count }, (_, n) => {
    const last = lastOffset - (count - 1 - n) * 10
    return { firstSequence: last - 9, lastSequence: last, baseOffset: last - 9, lastOffset: last, timestampMs: nowMs + last }
  })
  return { partitionId, producerId, producerEpoch: 3, batches, updatedAtMs: nowMs }
}

/** The element at an index that must be there. */
export function at<T>(values: readonly T[], index: number): T {
  const value = values.at(index)
  if (value === undefined) throw new Error(`nothing at ${index} of ${values.length}`)
  return value
}
