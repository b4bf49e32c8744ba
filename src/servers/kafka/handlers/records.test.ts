import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitBatches } from '#formats/kafka/record-batch.ts'
import { decodeBatch } from '#formats/kafka/records.ts'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { batchOf, fetchOf, MemoryHub, produceOf, startKafkaServer } from '../kafka.fixture.ts'

test('what was produced is fetched, with its offsets', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  for (const count of [2, 3]) await client.request('produce', 9, produceOf('a', batchOf(count)))
  for (const version of [4, 7, 11, 12]) {
    const { responses, errorCode, sessionId } = await client.request('fetch', version, fetchOf(['a']))
    const partition = responses[0]?.partitions[0]
    const records = splitBatches(partition?.records ?? Buffer.alloc(0)).flatMap((batch) => decodeBatch(batch))
    assert.deepEqual(
      records.map(({ offset }) => offset),
      [0, 1, 2, 3, 4],
    )
    assert.deepEqual([errorCode, sessionId, partition?.highWatermark, partition?.lastStableOffset], [0, 0, 5, 5])
  }
})

const acks: [asked: number, ack: string][] = [
  [-1, 'default'],
  [1, 'wal'],
  [0, 'none'],
]
for (const [asked, ack] of acks) {
  test(`acks=${asked} waits for ${ack}`, async () => {
    await using kafka = await startKafkaServer()
    await kafka.hub.topics.create({ name: 'a' })
    await using client = await kafka.connect()
    client.send('produce', 9, produceOf('a', batchOf(1), { acks: asked }))
    if (asked !== 0) await client.frame()
    await client.request('metadata', 9, { topics: null })
    assert.deepEqual(
      kafka.hub.appends.map((append) => append.ack),
      [ack],
    )
  })
}

const broken = batchOf(1)
broken[40] = 1 + (broken[40] ?? 0)
const refusals: [name: string, version: number, request: ReturnType<typeof produceOf>, errorCode: number][] = [
  ['a topic that there is not', 9, produceOf('missing', batchOf(1)), 3],
  ['a partition that there is not', 9, produceOf('a', batchOf(1), { index: 7 }), 3],
  ['acks=2', 9, produceOf('a', batchOf(1), { acks: 2 }), 21],
  ['no records', 9, produceOf('a', null), 87],
  ['empty records', 9, produceOf('a', Buffer.alloc(0)), 87],
  ['two batches', 9, produceOf('a', Buffer.concat([batchOf(1), batchOf(1)])), 87],
  ['half a batch', 9, produceOf('a', batchOf(1).subarray(0, 70)), 87],
  ['a few bytes', 9, produceOf('a', Buffer.from('batch')), 87],
  ['a batch with another checksum', 9, produceOf('a', broken), 2],
  ['a transaction', 9, { ...produceOf('a', batchOf(1)), transactionalId: 'tx' }, 53],
  ['records of an old format', 2, produceOf('a', batchOf(1)), 35],
]
for (const [name, version, request, errorCode] of refusals) {
  test(`producing ${name} is answered ${errorCode}, and the connection goes on`, async () => {
    await using kafka = await startKafkaServer()
    await kafka.hub.topics.create({ name: 'a' })
    await using client = await kafka.connect()
    const { responses } = await client.request('produce', version, request)
    const answer = responses[0]?.partitionResponses[0]
    assert.deepEqual([answer?.errorCode, answer?.baseOffset], [errorCode, -1])
    if (version === 9) assert.ok((answer?.errorMessage?.length ?? 0) > 5)
    assert.equal(
      (await client.request('produce', 9, produceOf('a', batchOf(1)))).responses[0]?.partitionResponses[0]?.errorCode,
      0,
    )
    assert.deepEqual(kafka.server.stats.errorsByCode, { [errorCode]: 1 })
  })
}

const faults: [code: ErrorCode, errorCode: number][] = [
  ['LOG_UNAVAILABLE', 56],
  ['LOG_FULL', 56],
  ['PARTITION_NOT_OWNED', 6],
  ['TIMEOUT', 7],
  ['PRODUCER_SEQUENCE_GAP', 45],
  ['INTERNAL', -1],
]
for (const [code, errorCode] of faults) {
  test(`${code} of one partition leaves the others`, async () => {
    const hub = new MemoryHub()
    await hub.topics.create({ name: 'a', partitionCount: 2 })
    const append = hub.append.bind(hub)
    hub.append = async (ref, batch, options) => {
      if (ref.partition === 0) throw new AppError(code, 'for the test')
      return append(ref, batch, options)
    }
    await using kafka = await startKafkaServer({ hub })
    await using client = await kafka.connect()
    const partitionData = [0, 1].map((index) => ({ index, records: batchOf(1) }))
    const { responses } = await client.request('produce', 9, {
      ...produceOf('a', null),
      topicData: [{ name: 'a', partitionData }],
    })
    assert.deepEqual(
      responses[0]?.partitionResponses.map((answer) => answer.errorCode),
      [errorCode, 0],
    )
    assert.equal(kafka.server.stats.failedRequests, code === 'INTERNAL' ? 1 : 0)
  })
}

test('partitions take turns when an answer is full', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  const topics = ['a', 'b', 'c']
  for (const name of topics) {
    await kafka.hub.topics.create({ name })
    for (let i = 0; i < 10; i++) await client.request('produce', 9, produceOf(name, batchOf(1, 1000)))
  }
  const sizes = new Map(topics.map((name) => [name, 0]))
  for (let i = 0; i < 6; i++) {
    const { responses } = await client.request('fetch', 11, fetchOf(topics, { maxBytes: 3000 }))
    assert.deepEqual(
      responses.map(({ topic }) => topic),
      topics,
    )
    for (const { topic, partitions } of responses)
      sizes.set(topic, (sizes.get(topic) ?? 0) + (partitions[0]?.records?.length ?? 0))
  }
  assert.equal(new Set(sizes.values()).size, 1, JSON.stringify([...sizes]))
})

test('errors of fetching are of the partition, and nobody waits then', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  const { responses } = await client.request('fetch', 12, fetchOf(['a', 'missing'], { maxWaitMs: 30_000 }))
  assert.deepEqual(
    responses.map(({ partitions }) =>
      partitions.map((partition) => [partition.errorCode, partition.highWatermark, partition.records?.length]),
    ),
    [[[0, 0, 0]], [[3, -1, 0]]],
  )
  const beyond = await client.request('fetch', 12, fetchOf(['a'], { offset: 99 }))
  assert.equal(beyond.responses[0]?.partitions[0]?.errorCode, 1)
  assert.equal((await client.request('fetch', 12, { ...fetchOf(['a']), sessionId: 5, sessionEpoch: 1 })).errorCode, 70)
})

test('read_committed has the list of aborted transactions that clients want then', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  const abortedOf = async (isolationLevel: number) =>
    (await client.request('fetch', 11, { ...fetchOf(['a']), isolationLevel })).responses[0]?.partitions[0]?.abortedTransactions
  assert.deepEqual([await abortedOf(0), await abortedOf(1)], [null, []])
})

test('offsets by time, the end of an epoch, and records deleted', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  await client.request('produce', 9, produceOf('a', batchOf(5)))
  const times = [-1, -2, 99, -9]
  const listed = await client.request('listOffsets', 5, {
    replicaId: -1,
    topics: [{ name: 'a', partitions: times.map((timestamp) => ({ partitionIndex: 0, timestamp })) }],
  })
  assert.deepEqual(
    listed.topics[0]?.partitions.map(({ errorCode, offset, timestamp, leaderEpoch }) => [
      errorCode,
      offset,
      timestamp,
      leaderEpoch,
    ]),
    [
      [0, 5, -1, 0],
      [0, 0, -1, 0],
      [0, -1, -1, -1],
      [42, -1, -1, -1],
    ],
  )
  const epochs = await client.request('offsetForLeaderEpoch', 4, {
    replicaId: -1,
    topics: [
      { topic: 'a', partitions: [0, 3].map((leaderEpoch) => ({ partition: 0, leaderEpoch })) },
      { topic: 'b', partitions: [{ partition: 0, leaderEpoch: 0 }] },
    ],
  })
  assert.deepEqual(
    epochs.topics.flatMap(({ partitions }) =>
      partitions.map(({ errorCode, leaderEpoch, endOffset }) => [errorCode, leaderEpoch, endOffset]),
    ),
    [
      [0, 0, 5],
      [0, -1, -1],
      [3, -1, -1],
    ],
  )
  const deleted = await client.request('deleteRecords', 2, {
    timeoutMs: 1000,
    topics: [{ name: 'a', partitions: [3, -1, 9].map((offset) => ({ partitionIndex: 0, offset })) }],
  })
  assert.deepEqual(
    deleted.topics[0]?.partitions.map(({ errorCode, lowWatermark }) => [errorCode, lowWatermark]),
    [
      [0, 3],
      [0, 5],
      [1, -1],
    ],
  )
})

test('producers get ids of their own; transactions are refused for good', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  const ask = (transactionalId: string | null) =>
    client.request('initProducerId', 4, { transactionalId, transactionTimeoutMs: 1000 })
  const ids = [await ask(null), await ask(null), await ask('tx')].map(({ errorCode, producerId, producerEpoch }) => [
    errorCode,
    producerId,
    producerEpoch,
  ])
  assert.deepEqual(ids, [
    [0, 1, 0],
    [0, 2, 0],
    [53, -1, -1],
  ])
  const coordinator = await client.request('findCoordinator', 3, { key: 'tx', keyType: 1 })
  assert.equal(coordinator.errorCode, 53)
  assert.match(coordinator.errorMessage ?? '', /no transactions/)
})
