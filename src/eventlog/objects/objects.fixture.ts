import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { placeBatch, readBatchHeader } from '#formats/kafka/record-batch.ts'
import { encodeBatch } from '#formats/kafka/records.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { pino } from 'pino'
import { systemClock } from '#lib/clock.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import { openDatabase } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import type { CommitAnswer, ExtentRow, LogMetadata, ProducerRow, TopicRow } from '../metadata/log-metadata.ts'
import { sqlLogMetadata } from '../metadata/sql-log-metadata.ts'
import { topicConfigSchema, type TopicConfig } from '../topic-config.ts'
import { Value } from 'typebox/value'
import { encodeObject, objectKeyFor, type EncodedObject, type ObjectRun, type ObjectSpan } from './object-format.ts'

export type NewBatch = {
  readonly baseOffset: number
  readonly records?: number
  readonly valueBytes?: number
  readonly timestampMs?: number
  readonly producer?: { readonly id: number; readonly epoch: number; readonly baseSequence: number }
}

/** A batch of random values; the records are one millisecond apart. */
export function makeBatch({ baseOffset, records = 1, valueBytes = 10, timestampMs = 1_000_000, producer }: NewBatch): Buffer {
  const made = Array.from({ length: records }, (_, index) => ({
    key: null,
    value: randomBytes(valueBytes),
    headers: [],
    timestampMs: timestampMs + index,
  }))
  const batch = encodeBatch(made, producer ? { producer } : {})
  placeBatch(batch, { baseOffset, leaderEpoch: 0 })
  return batch
}

/** Batches that follow each other, each as the options for its index say. */
export function makeBatches(count: number, options: (index: number) => Omit<NewBatch, 'baseOffset'>, baseOffset = 0): Buffer[] {
  let next = baseOffset
  return Array.from({ length: count }, (_, index) => {
    const batch = makeBatch({ ...options(index), baseOffset: next })
    next += readBatchHeader(batch).lastOffsetDelta + 1
    return batch
  })
}

/** A run of partition 0 of topic "orders", with the partition id as number of everything else. */
export function makeRun(batches: readonly Buffer[], changes: Partial<ObjectRun> = {}): ObjectRun {
  return {
    partitionId: 1,
    topicId: '11111111-1111-4111-8111-111111111111',
    topicName: 'orders',
    partition: 0,
    epoch: 1,
    spans: batches.map(spanOf),
    ...changes,
  }
}

function spanOf(bytes: Buffer): ObjectSpan {
  const { baseOffset, lastOffsetDelta, baseTimestampMs: minTimestampMs, maxTimestampMs, producerId } = readBatchHeader(bytes)
  const place = {
    baseOffset,
    lastOffset: baseOffset + lastOffsetDelta,
    batchCount: 1,
    minTimestampMs,
    maxTimestampMs,
    producerId,
  }
  return { bytes, place }
}

export const fixtureAgent = 'agent-0123456789'

/** Puts an object into the store as the log does; its extents as the database would have them. */
export async function storeObject(objects: ObjectStore, objectId: string, runs: readonly ObjectRun[]): Promise<ExtentRow[]> {
  const encoded = encodeObject(objectId, runs)
  const objectKey = objectKeyFor(objectId, fixtureAgent)
  await objects.put(objectKey, encoded)
  return encoded.runs.map((run) => ({ ...run, objectId, objectKey }))
}

export const silentLog = pino({ level: 'silent' })
export const defaultConfig: TopicConfig = Value.Parse(topicConfigSchema, Value.Default(topicConfigSchema, {}))

/** Of all logs, so that no two objects have one id. */
let objectCount = 0

/** A log without its agent: a directory of objects and a database in memory, and what the agent does to put records there. */
export class FixtureLog implements AsyncDisposable {
  readonly objects: ObjectStore
  readonly database: Database
  readonly metadata: LogMetadata
  readonly path: string
  readonly agentId: string
  readonly walId: string
  readonly #directory: AsyncDisposable

  private constructor({ path, objects, database, agentId, walId, directory }: Parts) {
    this.path = path
    this.objects = objects
    this.database = database
    this.metadata = sqlLogMetadata(database)
    this.agentId = agentId
    this.walId = walId
    this.#directory = directory
  }

  static async open(objectStore?: ObjectStore): Promise<FixtureLog> {
    const directory = await temporaryDirectory()
    const objects = objectStore ?? (await DirectoryStore.open({ directory: directory.path, clock: systemClock }))
    const database = await openDatabase({ url: 'sqlite::memory:', log: silentLog })
    const walId = 'wal-1'
    const { agentId } = await sqlLogMetadata(database).registerAgent({ walId, nowMs: 1 })
    return new FixtureLog({ path: directory.path, objects, database, agentId, walId, directory })
  }

  /** A new topic whose partitions this agent owns. */
  async createTopic(
    name: string,
    { partitionCount = 1, config = {} }: { partitionCount?: number; config?: Partial<TopicConfig> } = {},
  ): Promise<TopicRow> {
    const id = randomUUID()
    const topic = await this.metadata.createTopic({ id, name, config: { ...defaultConfig, ...config }, partitionCount, nowMs: 1 })
    await this.acquire(topic)
    return topic
  }

  /** Makes the agent owner again, in the next epoch, which is the answer. */
  async acquire(topic: TopicRow): Promise<number> {
    const partitions = topic.partitions.map(({ partitionId }) => ({ partitionId, isDirty: false }))
    const [first] = await this.metadata.acquirePartitions({
      agentId: this.agentId,
      walId: this.walId,
      partitions,
      ceilingStep: 1e6,
    })
    return first?.epoch ?? 0
  }

  /** Puts an object into the store, which is reserved and nothing more. */
  async upload(runs: readonly FixtureRun[], nowMs = 1): Promise<Uploaded> {
    objectCount += 1
    const id = `object-${String(objectCount).padStart(4, '0')}`
    const key = objectKeyFor(id, this.agentId)
    const encoded = encodeObject(
      id,
      runs.map((run) => runOf(run)),
    )
    await this.metadata.reserveObjects({ agentId: this.agentId, objects: [{ id, key }], nowMs })
    await this.objects.put(key, encoded)
    return { id, key, encoded }
  }

  /** The same, and commits it. */
  async commit(
    runs: readonly FixtureRun[],
    { nowMs = 1, producers = [] }: { nowMs?: number; producers?: readonly ProducerRow[] } = {},
  ): Promise<Uploaded> {
    const uploaded = await this.upload(runs, nowMs)
    const { sizeBytes, runs: rows } = uploaded.encoded
    const commit = { agentId: this.agentId, objectId: uploaded.id, sizeBytes, runs: rows, producers, nowMs }
    const answer: CommitAnswer = await this.metadata.commitObject(commit)
    assert.deepEqual(answer, { kind: 'committed', runs: rows.map(() => 'committed') })
    return uploaded
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]()
    await this.#directory[Symbol.asyncDispose]()
  }
}

type Parts = Pick<FixtureLog, 'path' | 'objects' | 'database' | 'agentId' | 'walId'> & { readonly directory: AsyncDisposable }
type Uploaded = { readonly id: string; readonly key: string; readonly encoded: EncodedObject }
type FixtureRun = {
  readonly topic: TopicRow
  readonly partition?: number
  readonly epoch?: number
  readonly batches: readonly Buffer[]
}

function runOf({ topic, partition = 0, epoch = 1, batches }: FixtureRun): ObjectRun {
  const partitionId = topic.partitions[partition]?.partitionId ?? 0
  return { partitionId, topicId: topic.id, topicName: topic.name, partition, epoch, spans: batches.map(spanOf) }
}
