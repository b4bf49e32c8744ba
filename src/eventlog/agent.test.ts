import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBatch, encodeBatch, type LogRecord } from '#formats/kafka/records.ts'
import { AppError } from '#lib/errors.ts'
import { openLog } from '../../test/support/log-agent.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import type { LogAgent } from './agent.ts'

const first = { topic: 'orders', partition: 0 } as const

function batchOf(...values: string[]): Buffer {
  return encodeBatch(values.map((value) => ({ key: null, value: Buffer.from(value), headers: [], timestampMs: 1000 })))
}

function changed(batch: Buffer): Buffer {
  batch.writeUInt8(batch.readUInt8(70) ^ 1, 70)
  return batch
}

async function readAll(agent: LogAgent, { from = 0, maxBytes = 1_000_000 } = {}): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  for (let offset = from; ;) {
    const partitions = [{ ...first, offset, maxBytes }]
    const [fetched] = await agent.fetch({ partitions, maxBytes, minBytes: 0, maxWaitMs: 0 })
    if (fetched?.error) throw fetched.error
    const found = (fetched?.batches ?? []).flatMap((batch) => decodeBatch(batch)).filter((record) => record.offset >= offset)
    if (found.length === 0) return records
    records.push(...found)
    offset = (found.at(-1)?.offset ?? 0) + 1
  }
}

const texts = (records: readonly LogRecord[]): string[] => records.map(({ value }) => String(value))

test('records get offsets in order and are read back from any of them', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await log.agent.topics.create({ name: 'orders' })
  const appended = await Promise.all([
    log.agent.append(first, batchOf('a', 'b')),
    log.agent.append(first, batchOf('c')),
    log.agent.append(first, batchOf('d', 'e', 'f')),
  ])
  assert.deepEqual(
    appended.map(({ baseOffset, lastOffset, ack }) => [baseOffset, lastOffset, ack]),
    [
      [0, 1, 'wal'],
      [2, 2, 'wal'],
      [3, 5, 'wal'],
    ],
  )
  assert.deepEqual(texts(await readAll(log.agent)), ['a', 'b', 'c', 'd', 'e', 'f'])
  assert.deepEqual(texts(await readAll(log.agent, { from: 4, maxBytes: 1 })), ['e', 'f'])
})

test('records are the same from memory, from the object store, and after a restart', async () => {
  await using directory = await temporaryDirectory()
  const expected = Array.from({ length: 500 }, (_, n) => `record ${n}`)
  {
    await using log = await openLog({ directory: directory.path, settings: { cacheBytes: 0, objectBytes: 65_536 } })
    await log.agent.topics.create({ name: 'orders' })
    for (const value of expected) await log.agent.append(first, batchOf(value))
    assert.deepEqual(texts(await readAll(log.agent)), expected)
    await log.agent.flush()
    assert.equal(log.agent.stats.waitingBatches, 0)
    assert.deepEqual(texts(await readAll(log.agent, { maxBytes: 1000 })), expected)
  }
  await using log = await openLog({ directory: directory.path })
  assert.deepEqual(texts(await readAll(log.agent)), expected)
  assert.equal((await log.agent.append(first, batchOf('more'))).baseOffset, 500)
})

test('a topic that asks for the object store shows nothing before it is there', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path, settings: { objectAckMilliseconds: 1000 } })
  await log.agent.topics.create({ name: 'orders', config: { durability: 'object' } })
  const appending = log.agent.append(first, batchOf('a'))
  await until(() => log.agent.stats.wal?.entryCount === 1)
  assert.deepEqual(await readAll(log.agent), [])
  assert.equal((await appending).ack, 'object')
  assert.deepEqual(texts(await readAll(log.agent)), ['a'])
})

test('a long poll ends when enough has come, when the time is over, and when the client goes', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await log.agent.topics.create({ name: 'orders' })
  const poll = (options: { minBytes: number; maxWaitMs: number; signal?: AbortSignal }) =>
    log.agent.fetch({ partitions: [{ ...first, offset: 0, maxBytes: 1000 }], maxBytes: 1000, ...options })
  const waiting = poll({ minBytes: 150, maxWaitMs: 60_000 })
  await log.agent.append(first, batchOf('a'))
  await log.agent.append(first, batchOf('a'.repeat(100)))
  assert.equal((await waiting)[0]?.batches.length, 2)
  assert.equal((await poll({ minBytes: 100_000, maxWaitMs: 5 }))[0]?.batches.length, 2)
  const gone = new AbortController()
  const left = poll({ minBytes: 100_000, maxWaitMs: 60_000, signal: gone.signal })
  gone.abort()
  assert.equal((await left)[0]?.batches.length, 2)
})

const refusals: { title: string; batch: () => Buffer; code: string; topic?: string; partition?: number }[] = [
  { title: 'an unknown topic', batch: () => batchOf('a'), code: 'TOPIC_NOT_FOUND', topic: 'other' },
  { title: 'an unknown partition', batch: () => batchOf('a'), code: 'PARTITION_NOT_FOUND', partition: 9 },
  { title: 'a batch above the limit', batch: () => batchOf('x'.repeat(2000)), code: 'RECORD_BATCH_TOO_LARGE' },
  { title: 'half a batch', batch: () => batchOf('abc').subarray(0, -1), code: 'RECORD_BATCH_INVALID' },
  { title: 'two batches', batch: () => Buffer.concat([batchOf('a'), batchOf('b')]), code: 'RECORD_BATCH_INVALID' },
  { title: 'a changed byte', batch: () => changed(batchOf('abc')), code: 'RECORD_BATCH_CORRUPT' },
]
for (const { title, batch, code, topic = 'orders', partition = 0 } of refusals) {
  test(`${title} is refused with ${code}, and leaves no trace`, async () => {
    await using directory = await temporaryDirectory()
    await using log = await openLog({ directory: directory.path })
    await log.agent.topics.create({ name: 'orders', config: { maxMessageBytes: 1024 } })
    await assert.rejects(log.agent.append({ topic, partition }, batch()), { code })
    assert.equal((await log.agent.append(first, batchOf('b'))).baseOffset, 0)
  })
}

test('reading outside of what is kept says what is kept', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await log.agent.topics.create({ name: 'orders' })
  for (const value of ['a', 'b', 'c']) await log.agent.append(first, batchOf(value))
  assert.equal(await log.agent.deleteRecords(first, 2), 2)
  for (const from of [1, 4]) {
    await assert.rejects(readAll(log.agent, { from }), (error) => {
      assert.ok(error instanceof AppError)
      assert.equal(error.code, 'OFFSET_OUT_OF_RANGE')
      assert.deepEqual(error.details, { logStart: 2, highWatermark: 3 })
      return true
    })
  }
  assert.deepEqual(texts(await readAll(log.agent, { from: 2 })), ['c'])
  assert.equal(await log.agent.deleteRecords(first, -1), 3)
})

test('offsets are found by time, in memory and in the object store', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path, settings: { cacheBytes: 0 } })
  await log.agent.topics.create({ name: 'orders' })
  for (const timestampMs of [1000, 2000, 3000]) {
    await log.agent.append(first, encodeBatch([{ key: null, value: null, headers: [], timestampMs }]))
  }
  for (const isStored of [false, true]) {
    if (isStored) await log.agent.flush()
    assert.deepEqual(await log.agent.findOffset(first, 1500), { offset: 1, timestampMs: 2000 })
    assert.deepEqual(await log.agent.findOffset(first, 0), { offset: 0, timestampMs: 1000 })
    assert.deepEqual(await log.agent.findOffset(first, 3001), { offset: -1, timestampMs: -1 })
    assert.deepEqual(await log.agent.findOffset(first, 'max-timestamp'), { offset: 2, timestampMs: 3000 })
    assert.deepEqual(await log.agent.findOffset(first, 'earliest'), { offset: 0, timestampMs: -1 })
    assert.deepEqual(await log.agent.findOffset(first, 'latest'), { offset: 3, timestampMs: -1 })
  }
})

test('a batch that an idempotent producer sends again keeps its place, also after a restart', async () => {
  await using directory = await temporaryDirectory()
  const batch = (baseSequence: number): Buffer =>
    encodeBatch([{ key: null, value: Buffer.from('a'), headers: [], timestampMs: 1 }], {
      producer: { id: 5, epoch: 0, baseSequence },
    })
  for (const baseSequence of [0, 1, 2]) {
    await using log = await openLog({ directory: directory.path })
    await log.agent.topics.ensure({ name: 'orders' })
    const [once, again] = await Promise.all([
      log.agent.append(first, batch(baseSequence)),
      log.agent.append(first, batch(baseSequence)),
    ])
    assert.deepEqual([once.baseOffset, once.isDuplicate], [baseSequence, false])
    assert.deepEqual([again.baseOffset, again.isDuplicate], [baseSequence, true])
    if (baseSequence > 0) {
      const before = await log.agent.append(first, batch(baseSequence - 1))
      assert.deepEqual([before.baseOffset, before.isDuplicate], [baseSequence - 1, true])
    }
  }
})

test('without a write-ahead log every acknowledgement waits for the object store', async () => {
  await using directory = await temporaryDirectory()
  const options = { walDirectory: undefined }
  {
    await using log = await openLog({ directory: directory.path, options, settings: { objectAckMilliseconds: 10 } })
    await log.agent.topics.create({ name: 'orders' })
    assert.equal((await log.agent.append(first, batchOf('a'), { ack: 'wal' })).ack, 'object')
  }
  await using log = await openLog({ directory: directory.path, options })
  assert.deepEqual(texts(await readAll(log.agent)), ['a'])
})

test('nobody but Millrace writes to its own topics', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await log.agent.topics.create({ name: 'millrace.notes' })
  const own = { topic: 'millrace.notes', partition: 0 }
  await assert.rejects(log.agent.append(own, batchOf('a')), { code: 'TOPIC_INVALID' })
  await assert.rejects(log.agent.topics.delete('millrace.notes'), { code: 'TOPIC_INVALID' })
  assert.equal((await log.agent.append(own, batchOf('a'), { isOwn: true })).baseOffset, 0)
})

test('a write-ahead log that belongs to another database is refused and kept', async () => {
  await using directory = await temporaryDirectory()
  await using other = await temporaryDirectory()
  {
    await using log = await openLog({ directory: directory.path, settings: { objectMilliseconds: 3_600_000 } })
    await log.agent.topics.create({ name: 'orders' })
    await log.agent.append(first, batchOf('a'))
    // The records stay where they are: the objects have no place to go.
    await log.database[Symbol.asyncDispose]()
  }
  const options = { walDirectory: `${directory.path}/wal` }
  await assert.rejects(openLog({ directory: other.path, options }), { code: 'LOG_DAMAGED' })
  await assert.rejects(openLog({ directory: other.path, options }), { code: 'LOG_DAMAGED' })
  await using log = await openLog({ directory: directory.path })
  assert.deepEqual(texts(await readAll(log.agent)), ['a'])
})
