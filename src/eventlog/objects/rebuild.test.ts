import assert from 'node:assert/strict'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '#lib/clock.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { openDatabase } from '#store/sql/database.ts'
import { startPostgres } from '../../../test/support/postgres.ts'
import { startS3 } from '../../../test/support/s3.ts'
import type { ExtentRow, LogMetadata, TopicRow } from '../metadata/log-metadata.ts'
import { sqlHistoryImport } from '../metadata/sql-import.ts'
import { sqlLogMetadata } from '../metadata/sql-log-metadata.ts'
import { sqlObjectExtents } from '../metadata/sql-object-extents.ts'
import { defaultConfig, FixtureLog, makeBatch, makeBatches, silentLog } from './objects.fixture.ts'
import { rebuildMetadata, type RebuildReport } from './rebuild.ts'
import { verifyLog } from './verify.ts'

const config = { ...defaultConfig, retentionMs: -1 }

/** Rebuilds into a new database. */
async function rebuild(objects: ObjectStore, url = 'sqlite::memory:') {
  const database = await openDatabase({ url, log: silentLog })
  const report = await rebuildMetadata({ objects, history: sqlHistoryImport(database), config })
  return { report, database, metadata: sqlLogMetadata(database), [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
}

/** What must come back: names, ids, offsets, extents. */
async function historyOf(metadata: LogMetadata) {
  const topics = await metadata.loadTopics()
  const partitions = topics.flatMap((topic) => topic.partitions)
  const extents: ExtentRow[][] = []
  for (const { partitionId } of partitions) extents.push(await metadata.findExtents({ partitionId, fromOffset: 0, limit: 100 }))
  const objects = await metadata.listObjects({ after: '', limit: 100 })
  return {
    topics: topics.map(({ id, name }) => ({ id, name })),
    partitions: partitions.map((one) => [one.partitionId, one.topicId, one.index, one.nextOffset, one.logStart, one.sizeBytes]),
    extents,
    objects: objects.map(({ id, key, sizeBytes }) => ({ id, key, sizeBytes })),
  }
}

function kindsOf({ findings }: RebuildReport): string[] {
  return findings.map(({ kind }) => kind).toSorted()
}

/** Two topics, three partitions, three objects, two owners; an owner's upload that was fenced, and one that nobody committed. */
async function fill(log: FixtureLog): Promise<{ orders: TopicRow; payments: TopicRow }> {
  const orders = await log.createTopic('orders', { partitionCount: 2 })
  const payments = await log.createTopic('payments')
  const sizes = () => ({ records: 3, valueBytes: 20_000 })
  await log.commit([
    { topic: orders, batches: makeBatches(5, sizes) },
    { topic: orders, partition: 1, batches: makeBatches(2, sizes) },
    { topic: payments, batches: makeBatches(1, sizes) },
  ])
  await log.commit([{ topic: orders, batches: makeBatches(2, sizes, 15) }])
  await log.upload([{ topic: orders, batches: makeBatches(9, sizes, 21) }])
  const epoch = await log.acquire(orders)
  await log.commit([
    { topic: orders, epoch, batches: makeBatches(1, sizes, 21) },
    { topic: orders, partition: 1, epoch, batches: makeBatches(1, sizes, 6) },
  ])
  return { orders, payments }
}

test('a database that was lost is built again from the objects alone', async () => {
  await using log = await FixtureLog.open()
  await fill(log)
  await using rebuilt = await rebuild(log.objects)
  assert.deepEqual(await historyOf(rebuilt.metadata), await historyOf(log.metadata))
  const { findings, ...counts } = rebuilt.report
  assert.deepEqual({ ...counts, sizeBytes: 0 }, { topics: 2, partitions: 3, objects: 3, extents: 6, sizeBytes: 0, producers: 0 })
  assert.deepEqual(kindsOf(rebuilt.report), ['orphan', 'superseded'])
  assert.partialDeepStrictEqual(findings[0], {
    kind: 'superseded',
    topic: 'orders',
    partition: 0,
    epoch: 1,
    baseOffset: 21,
    lastOffset: 47,
  })
})

test('the same from S3 into PostgreSQL, where new partitions and producers get ids of their own', async () => {
  await using server = await startS3({ hasConditionalPuts: true })
  await using objects = await openObjectStore(await server.createBucket(), {
    dataDirectory: '',
    clock: systemClock,
    log: silentLog,
  })
  await using postgres = await startPostgres()
  await using log = await FixtureLog.open(objects)
  await fill(log)
  await using rebuilt = await rebuild(objects, await postgres.createDatabase())
  assert.deepEqual(await historyOf(rebuilt.metadata), await historyOf(log.metadata))
  const metadata = { ...rebuilt.metadata, ...sqlObjectExtents(rebuilt.database) }
  const steps = await Array.fromAsync(verifyLog({ metadata, objects }))
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ['progress', 'progress', 'progress', 'progress'],
  )
  const { partitions } = await rebuilt.metadata.createTopic({ id: 'new', name: 'new', config, partitionCount: 1, nowMs: 1 })
  const ids = (await log.metadata.loadTopics()).flatMap((topic) => topic.partitions.map((one) => one.partitionId))
  assert((partitions[0]?.partitionId ?? 0) > Math.max(...ids))
})

test('the log goes on where it was: with the next epoch, the next offset and the next producer id', async () => {
  await using log = await FixtureLog.open()
  const { orders } = await fill(log)
  await using rebuilt = await rebuild(log.objects)
  const { agentId } = await rebuilt.metadata.registerAgent({ walId: 'wal-1', nowMs: 1 })
  const [partition] = orders.partitions
  const request = {
    agentId,
    walId: 'wal-1',
    partitions: [{ partitionId: partition?.partitionId ?? 0, isDirty: true }],
    ceilingStep: 10,
  }
  const [acquired] = await rebuilt.metadata.acquirePartitions(request)
  assert.partialDeepStrictEqual(acquired, { epoch: 3, nextOffset: 24, offsetCeiling: 34 })
  const { partitions } = await rebuilt.metadata.createTopic({ id: 'new', name: 'new', config, partitionCount: 1, nowMs: 1 })
  assert.equal(partitions[0]?.partitionId, 4)
})

test('idempotent producers find their last batches again', async () => {
  await using log = await FixtureLog.open()
  const topic = await log.createTopic('orders')
  const sequences = (from: number, count: number, id: number) =>
    makeBatches(count, (index) => ({ producer: { id, epoch: 2, baseSequence: from + index } }), from)
  await log.commit([{ topic, batches: sequences(0, 3, 77) }])
  await log.commit([{ topic, batches: sequences(3, 4, 77) }])
  await log.upload([
    { topic, epoch: 0, batches: [makeBatch({ baseOffset: 3, producer: { id: 400, epoch: 0, baseSequence: 0 } })] },
  ])
  await using rebuilt = await rebuild(log.objects)
  const partitionId = topic.partitions[0]?.partitionId ?? 0
  const [producer, ...others] = await rebuilt.metadata.loadProducers([partitionId])
  assert.deepEqual(others, [])
  assert.partialDeepStrictEqual(producer, { partitionId, producerId: 77, producerEpoch: 2 })
  assert.deepEqual(
    producer?.batches.map(({ firstSequence, lastSequence, baseOffset, lastOffset }) => [
      firstSequence,
      lastSequence,
      baseOffset,
      lastOffset,
    ]),
    [2, 3, 4, 5, 6].map((at) => [at, at, at, at]),
  )
  // Also an id of which nothing was committed belongs to somebody.
  assert.equal(await rebuilt.metadata.allocateProducerIds(1), 401)
})

test('what is missing or damaged is told, and the rest comes back', async () => {
  await using log = await FixtureLog.open()
  const topic = await log.createTopic('orders')
  const uploads = []
  for (const base of [0, 10, 20, 30]) uploads.push(await log.commit([{ topic, batches: makeBatches(10, () => ({}), base) }]))
  const [, lost, cut] = uploads
  await log.objects.delete(lost?.key ?? '')
  await truncate(join(log.path, cut?.key ?? ''), 200)
  await log.objects.put('data/v1/00/other/notes.log', Buffer.from('not an object of the log'))
  await log.objects.put('library/clip.mp4', Buffer.from('of somebody else'))
  await using rebuilt = await rebuild(log.objects)
  assert.deepEqual(kindsOf(rebuilt.report), ['gap', 'unreadable', 'unreadable'])
  assert.deepEqual(
    rebuilt.report.findings.find(({ kind }) => kind === 'gap'),
    { kind: 'gap', topic: 'orders', partition: 0, fromOffset: 10, toOffset: 30 },
  )
  const [found] = await rebuilt.metadata.loadTopics()
  assert.partialDeepStrictEqual(found?.partitions[0], { logStart: 0, nextOffset: 40 })
})

test('an object that was moved or copied is not taken twice', async () => {
  await using log = await FixtureLog.open()
  const topic = await log.createTopic('orders')
  const { key, encoded } = await log.commit([{ topic, batches: makeBatches(3, () => ({})) }])
  const [, , hash = '', , name = ''] = key.split('/')
  await log.objects.put(`data/v1/${hash}/zzzzzzzz/${name}`, Buffer.concat([...encoded.chunks]))
  await log.objects.put('data/v1/00/zzzzzzzz/moved.log', Buffer.concat([...encoded.chunks]))
  await using rebuilt = await rebuild(log.objects)
  assert.deepEqual(kindsOf(rebuilt.report), ['unreadable', 'unreadable'])
  assert.equal(rebuilt.report.objects, 1)
})

test('of two topics with one name the younger comes back, and partitions never share an id', async () => {
  await using old = await FixtureLog.open()
  const before = await old.createTopic('orders', { partitionCount: 3 })
  const kept = await old.createTopic('kept')
  await old.commit([{ topic: before, partition: 2, batches: makeBatches(1, () => ({})) }])
  await old.commit([{ topic: kept, batches: makeBatches(1, () => ({})) }])
  // Another database began from nothing over the same bucket, and with it the ids.
  await using log = await FixtureLog.open(old.objects)
  const after = await log.createTopic('orders', { partitionCount: 5 })
  await log.commit([{ topic: after, partition: 3, batches: makeBatches(2, () => ({})) }])
  await using rebuilt = await rebuild(old.objects)
  const topics = await rebuilt.metadata.loadTopics()
  assert.deepEqual(
    topics.map(({ id, name, partitions }) => [id, name, partitions.length]),
    [
      [kept.id, 'kept', 1],
      [after.id, 'orders', 4],
    ],
  )
  const ids = topics.flatMap(({ partitions }) => partitions.map(({ partitionId }) => partitionId))
  assert.equal(new Set(ids).size, 5)
  assert.equal(topics[1]?.partitions[3]?.partitionId, after.partitions[3]?.partitionId)
  assert(kindsOf(rebuilt.report).includes('replaced-topic'))
})

test('a database that has topics is refused and stays as it is', async () => {
  await using log = await FixtureLog.open()
  await fill(log)
  const before = await historyOf(log.metadata)
  const again = rebuildMetadata({ objects: log.objects, history: sqlHistoryImport(log.database), config })
  await assert.rejects(again, { code: 'LOG_NOT_EMPTY', message: /topic "orders"/ })
  assert.deepEqual(await historyOf(log.metadata), before)
})

test('when it is broken off, nothing is stored', async () => {
  await using log = await FixtureLog.open()
  await fill(log)
  await using database = await openDatabase({ url: 'sqlite::memory:', log: silentLog })
  const breaking = new AbortController()
  const broken = rebuildMetadata({
    objects: log.objects,
    history: sqlHistoryImport(database),
    config,
    signal: breaking.signal,
    onProgress: ({ step, objects }) => {
      if (step === 'survey' && objects === 4) breaking.abort(new Error('enough'))
    },
  })
  await assert.rejects(broken, /enough/)
  assert.deepEqual(await sqlLogMetadata(database).loadTopics(), [])
})
