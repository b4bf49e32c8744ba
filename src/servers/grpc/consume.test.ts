import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { decodeBatch, encodeBatch } from '#formats/kafka/records.ts'
import { consumeRequest } from '#formats/protobuf/schemas/log-v1.ts'
import { until } from '../../../test/support/until.ts'
import { at, drain, recordsOf, startGrpcServer, valuesOf, type Plain, type TestServer } from './grpc.fixture.ts'
import { frame, RawClient } from './raw-client.fixture.ts'

const timestampMs = 1_700_000_000_000

/** A server with topic `t` of two partitions: `a` to `e` in the first, `x` and `y` in the second. */
async function startWithRecords(): Promise<TestServer> {
  const server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', partitionCount: 2 })
  const records = ['a', 'b', 'c', 'd', 'e'].map((value, index) => ({
    value: Buffer.from(value),
    timestampMs: timestampMs + index * 1000,
  }))
  await client.call('Produce', { topic: 't', partition: 0, records: records.slice(0, 2) })
  await client.call('Produce', { topic: 't', partition: 0, records: records.slice(2) })
  await client.call('Produce', { topic: 't', partition: 1, records: recordsOf('x', 'y') })
  return server
}

const first = { partition: 0 }
const cases: readonly (readonly [name: string, request: Plain, expected: string])[] = [
  ['without a position, all of it', {}, 'abcdexy'],
  ['the earliest', { start: { bound: 'BOUND_EARLIEST' } }, 'abcdexy'],
  ['the latest', { start: { bound: 'BOUND_LATEST' } }, ''],
  ['an offset, in the middle of a batch', { start: { offset: 1 } }, 'bcdey'],
  ['an offset at the end', { partitions: [{ ...first, start: { offset: 5 } }] }, ''],
  ['a time', { partitions: [{ ...first, start: { timestampMs: timestampMs + 2500 } }] }, 'de'],
  ['a time that has not come', { partitions: [{ ...first, start: { timestampMs: timestampMs * 2 } }] }, ''],
  ['one partition', { partitions: [{ partition: 1 }] }, 'xy'],
  [
    'partitions with positions of their own, and without',
    { partitions: [{ ...first, start: { offset: 4 } }, { partition: 1 }], start: { offset: 1 } },
    'ey',
  ],
  ['so many records', { partitions: [first], maxRecords: 3 }, 'abc'],
]

for (const [name, request, expected] of cases) {
  test(`consumes ${name}, and ends`, async () => {
    await using server = await startWithRecords()
    using client = server.client()
    const { messages, refusal } = await drain(client.stream('Consume', { topic: 't', ...request }))
    assert.equal(refusal, undefined)
    assert.equal(valuesOf(messages).toSorted().join(''), expected)
  })
}

test('an answer says its partition, where to go on, and where the partition ends', async () => {
  await using server = await startWithRecords()
  using client = server.client()
  const { messages } = await drain(
    client.stream('Consume', { topic: 't', partitions: [{ partition: 0, start: { offset: 1 } }], maxRecords: 2 }),
  )
  assert.deepEqual(
    messages.map((message) => [at(message, 'partition'), at(message, 'nextOffset'), at(message, 'highWatermark')]),
    [[0, 3, 5]],
  )
})

test('as batches, which are those that were appended', async () => {
  await using server = await startWithRecords()
  using client = server.client()
  const partitions = [{ partition: 0, start: { offset: 1 } }]
  const { messages } = await drain(client.stream('Consume', { topic: 't', partitions, format: 'FORMAT_RAW', maxRecords: 2 }))
  const batches = messages.flatMap((message) => at(message, 'recordBatches'))
  assert.deepEqual(
    batches.map(
      (batch) =>
        Buffer.isBuffer(batch) &&
        decodeBatch(batch)
          .map(({ value }) => String(value))
          .join(''),
    ),
    ['ab', 'cde'],
  )
  assert.equal(at(messages.at(-1), 'nextOffset'), 5)
})

const refused: readonly (readonly [Plain, number, string])[] = [
  [{ topic: 'none' }, 5, 'TOPIC_NOT_FOUND'],
  [{ topic: 't', partitions: [{ partition: 2 }] }, 5, 'PARTITION_NOT_FOUND'],
  [{ topic: 't', partitions: [{ partition: 0, start: { offset: 6 } }] }, 11, 'OFFSET_OUT_OF_RANGE'],
  [{ topic: 't', start: { offset: -1 } }, 11, 'OFFSET_OUT_OF_RANGE'],
]
for (const [request, status, code] of refused) {
  test(`${JSON.stringify(request)} is refused with ${code}`, async () => {
    await using server = await startWithRecords()
    using client = server.client()
    const { refusal } = await drain(client.stream('Consume', request))
    assert.deepEqual([refusal?.status, refusal?.code], [status, code])
  })
}

test('follows what comes, in order, also partitions that are added', async () => {
  await using server = await startWithRecords()
  using client = server.client()
  const stream = client.stream('Consume', { topic: 't', start: { bound: 'BOUND_LATEST' }, follow: true })
  const messages: unknown[] = []
  stream.on('data', (message) => messages.push(message))
  stream.on('error', () => {})
  await until(() => server.server.stats.openCalls === 1)
  for (const value of ['1', '2', '3']) await client.call('Produce', { topic: 't', partition: 0, records: recordsOf(value) })
  await until(() => valuesOf(messages).join('') === '123')
  await server.hub.topics.addPartitions('t', 3)
  await client.call('Produce', { topic: 't', partition: 2, records: recordsOf('4') })
  await client.call('Produce', { topic: 't', partition: 0, records: recordsOf('5') })
  await until(() => valuesOf(messages).toSorted().join('') === '12345')
  stream.cancel()
  await until(() => server.server.stats.openCalls === 0)
  assert.equal(server.server.stats.endedByStatus.CANCELLED, 1)
})

test('follows until it has so many', async () => {
  await using server = await startWithRecords()
  using client = server.client()
  const partitions = [{ partition: 1 }]
  const drained = drain(client.stream('Consume', { topic: 't', partitions, follow: true, maxRecords: 4 }))
  await client.call('Produce', { topic: 't', partition: 1, records: recordsOf('1', '2', '3') })
  assert.equal(valuesOf((await drained).messages).join(''), 'xy12')
})

test('ends with an error when the topic is deleted', async () => {
  await using server = await startWithRecords()
  using client = server.client()
  const drained = drain(client.stream('Consume', { topic: 't', follow: true }))
  await until(() => server.server.stats.openCalls === 1)
  await client.call('DeleteTopic', { name: 't' })
  const { refusal } = await drained
  assert.deepEqual([refusal?.status, refusal?.code], [5, 'TOPIC_NOT_FOUND'])
})

test('a client that does not read is waited for, with little in memory', async () => {
  await using server = await startGrpcServer()
  await server.hub.topics.create({ name: 't' })
  const value = Buffer.alloc(100_000, 'x')
  const records = Array.from({ length: 10 }, () => ({ key: null, value, headers: [], timestampMs }))
  for (let sent = 0; sent < 40; sent++) await server.hub.append({ topic: 't', partition: 0 }, encodeBatch(records))
  await using raw = new RawClient(server.server.port)
  const stream = raw.open('/millrace.log.v1.Log/Consume')
  stream.end(frame(consumeRequest.encode({ topic: 't' })))
  await until(() => server.server.stats.sentBytes > 2_000_000)
  const full = server.server.stats
  assert.ok(full.answerBytes > 1_000_000)
  // Others are served meanwhile.
  using client = server.client()
  const other = await drain(client.stream('Consume', { topic: 't', maxRecords: 100 }))
  assert.equal(valuesOf(other.messages).length, 100)
  assert.ok(server.server.stats.sentBytes - full.sentBytes < 12_000_000)
  assert.equal(server.server.stats.openCalls, 1)
  let receivedBytes = 0
  stream.on('data', (chunk: Buffer) => (receivedBytes += chunk.length))
  const [trailers] = await once(stream, 'trailers')
  assert.deepEqual([trailers['grpc-status'], receivedBytes > 40_000_000], ['0', true])
  await until(() => server.server.stats.answerBytes === 0)
})

test('a client that goes in the middle leaves nothing behind', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const records = Array.from({ length: 10 }, () => ({ key: null, value: Buffer.alloc(100_000, 'x'), headers: [], timestampMs }))
  for (let sent = 0; sent < 20; sent++) await server.hub.append({ topic: 't', partition: 0 }, encodeBatch(records))
  const stream = client.stream('Consume', { topic: 't' })
  stream.on('error', () => {})
  await once(stream, 'data')
  stream.cancel()
  await until(() => server.server.stats.openCalls === 0 && server.server.stats.answerBytes === 0)
})

test('answers are small enough for clients with their usual limit', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const records = Array.from({ length: 200 }, (_, index) => ({
    key: null,
    value: Buffer.alloc(100_000, index),
    headers: [],
    timestampMs,
  }))
  const batch = encodeBatch(records, { compression: 'zstd' })
  assert.ok(batch.length < 1_000_000)
  await server.hub.append({ topic: 't', partition: 0 }, batch)
  const { messages, refusal } = await drain(client.stream('Consume', { topic: 't' }))
  assert.deepEqual([refusal, messages.length > 15], [undefined, true])
  assert.equal(messages.flatMap((message) => at(message, 'records')).length, 200)
})
