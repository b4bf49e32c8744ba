import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partitionFor } from '#formats/kafka/partitioner.ts'
import { decodeBatch, encodeBatch } from '#formats/kafka/records.ts'
import { at, recordsOf, refusalOf, startGrpcServer, type Plain } from './grpc.fixture.ts'

// All methods of `millrace.log.v1.Log` that have one answer, by grpc-js and protobufjs, on a log on real files.

const timestampMs = 1_700_000_000_000

test('topics are made, listed, described and deleted', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  const config = {
    durability: 'DURABILITY_OBJECT',
    retentionMs: 1000,
    maxMessageBytes: 2048,
    timestampType: 'TIMESTAMP_TYPE_LOG_APPEND_TIME',
  }
  const made = await client.call('CreateTopic', { name: 'b', partitionCount: 2, config })
  assert.deepEqual(at(made, 'topic.partitions'), [
    { partition: 0, isAvailable: true, logStartOffset: 0, highWatermark: 0 },
    { partition: 1, isAvailable: true, logStartOffset: 0, highWatermark: 0 },
  ])
  await client.call('CreateTopic', { name: 'a' })
  const listed = await client.call('ListTopics', {})
  assert.deepEqual([at(listed, 'topics.0.name'), at(listed, 'topics.1.name'), at(listed, 'topics.2')], ['a', 'b', undefined])
  assert.deepEqual([at(listed, 'topics.1.partitionCount'), at(listed, 'topics.1.partitions')], [2, []])
  const described = await client.call('DescribeTopic', { name: 'b' })
  const found = Object.keys(config).map((name) => at(described, `topic.config.${name}`))
  assert.deepEqual(found, Object.values(config))
  assert.equal(at(described, 'topic.config.retentionBytes'), -1)
  assert.equal(at(described, 'topic.id'), server.hub.topics.get('b').id)
  await client.call('DeleteTopic', { name: 'b' })
  assert.equal(server.hub.topics.find('b'), undefined)
})

test('what cannot be done to topics is told with status, code and message', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const exists = await refusalOf(client.call('CreateTopic', { name: 't' }))
  assert.deepEqual(exists, { status: 6, code: 'TOPIC_EXISTS', message: 'topic "t" exists already' })
  const cases: readonly (readonly [string, Plain, number, string])[] = [
    ['DescribeTopic', { name: 'ünknown' }, 5, 'TOPIC_NOT_FOUND'],
    ['DeleteTopic', { name: 'none' }, 5, 'TOPIC_NOT_FOUND'],
    ['CreateTopic', { name: 'no spaces' }, 3, 'TOPIC_INVALID'],
    ['CreateTopic', { name: 'x', partitionCount: -1 }, 3, 'TOPIC_INVALID'],
    ['CreateTopic', { name: 'x', config: { maxMessageBytes: 1 } }, 3, 'TOPIC_INVALID'],
  ]
  for (const [method, request, status, code] of cases) {
    const { message, ...refusal } = await refusalOf(client.call(method, request))
    assert.deepEqual(refusal, { status, code }, `${method}: ${String(message)}`)
  }
  const { message } = await refusalOf(client.call('DescribeTopic', { name: 'ünknown' }))
  assert.equal(message, 'there is no topic "ünknown"; create it first')
})

test('records that name a partition get offsets there', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', partitionCount: 2 })
  const first = await client.call('Produce', { topic: 't', partition: 1, records: recordsOf('a', 'b') })
  const second = await client.call('Produce', { topic: 't', partition: 1, records: recordsOf('c'), ack: 'ACK_OBJECT' })
  const produced = { partition: 1, appendTimeMs: -1, isDuplicate: false }
  assert.deepEqual(first, { partitions: [{ ...produced, baseOffset: 0, recordCount: 2 }], ack: 'ACK_WAL' })
  assert.deepEqual(second, { partitions: [{ ...produced, baseOffset: 2, recordCount: 1 }], ack: 'ACK_OBJECT' })
})

test('records without a partition go where their keys belong, those without a key together, each request elsewhere', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', partitionCount: 5 })
  const keys = Array.from({ length: 40 }, (_, index) => `key ${index}`)
  const answer = await client.call('Produce', { topic: 't', records: keys.map((key) => ({ key: Buffer.from(key) })) })
  const expected = [0, 1, 2, 3, 4].map(
    (partition) => keys.filter((key) => partitionFor(Buffer.from(key), 5) === partition).length,
  )
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((index) => at(answer, `partitions.${index}.recordCount`)),
    expected,
  )
  const used = new Set<unknown>()
  for (let sent = 0; sent < 5; sent++) {
    const keyless = await client.call('Produce', { topic: 't', records: recordsOf('a', 'b', 'c') })
    assert.equal(at(keyless, 'partitions.0.recordCount'), 3)
    used.add(at(keyless, 'partitions.0.partition'))
  }
  assert.equal(used.size, 5)
})

test('keys, values, headers and times come back as they went, also what is absent', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const records = [
    {
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      headers: [{ key: 'h', value: Buffer.from('1') }, { key: 'none' }],
      timestampMs,
    },
    { key: Buffer.alloc(0), headers: [], timestampMs: timestampMs + 1 },
  ]
  await client.call('Produce', { topic: 't', records })
  const page = await client.call('Fetch', { positions: [{ topic: 't', partition: 0, offset: 0 }] })
  const found = at(page, 'partitions.0.records')
  const value = { value: Buffer.from('1'), _value: 'value' }
  assert.deepEqual(found, [
    {
      offset: 0,
      timestampMs,
      key: Buffer.from('k'),
      _key: 'key',
      value: Buffer.from('v'),
      _value: 'value',
      headers: [{ key: 'h', ...value }, { key: 'none' }],
    },
    { offset: 1, timestampMs: timestampMs + 1, key: Buffer.alloc(0), _key: 'key', headers: [] },
  ])
})

test('a record without a time has that of its arrival, and a topic may give its own', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 'own' })
  await client.call('CreateTopic', { name: 'appended', config: { timestampType: 'TIMESTAMP_TYPE_LOG_APPEND_TIME' } })
  const before = Date.now()
  await client.call('Produce', { topic: 'own', records: [{}] })
  const answer = await client.call('Produce', { topic: 'appended', records: recordsOf('a') })
  const after = Date.now()
  const positions = ['own', 'appended'].map((topic) => ({ topic, partition: 0, offset: 0 }))
  const page = await client.call('Fetch', { positions })
  const times = [
    at(page, 'partitions.0.records.0.timestampMs'),
    at(page, 'partitions.1.records.0.timestampMs'),
    at(answer, 'partitions.0.appendTimeMs'),
  ]
  for (const time of times) assert.ok(typeof time === 'number' && time >= before && time <= after, String(time))
})

test('a record batch is kept as it is, and a repeated one of an idempotent producer once', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', partitionCount: 2 })
  const producer = { id: await server.hub.allocateProducerId(), epoch: 0, baseSequence: 0 }
  const batch = encodeBatch([{ key: null, value: Buffer.from('v'.repeat(500)), headers: [], timestampMs }], {
    compression: 'zstd',
    producer,
  })
  const request = { topic: 't', partition: 1, recordBatch: batch }
  const first = await client.call('Produce', request)
  const second = await client.call('Produce', request)
  const produced = { partition: 1, baseOffset: 0, recordCount: 1, appendTimeMs: -1 }
  assert.deepEqual(at(first, 'partitions'), [{ ...produced, isDuplicate: false }])
  assert.deepEqual(at(second, 'partitions'), [{ ...produced, isDuplicate: true }])
  const page = await client.call('Fetch', { positions: [{ topic: 't', partition: 1, offset: 0 }], format: 'FORMAT_RAW' })
  const kept = at(page, 'partitions.0.recordBatches.0')
  assert.ok(Buffer.isBuffer(kept))
  assert.deepEqual(kept.subarray(16), batch.subarray(16))
  assert.deepEqual([at(page, 'partitions.0.records'), at(page, 'partitions.0.nextOffset')], [[], 1])
})

test('many records become batches that the topic takes', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', config: { maxMessageBytes: 2048 } })
  const records = Array.from({ length: 100 }, (_, index) => ({ value: Buffer.alloc(100, index) }))
  const answer = await client.call('Produce', { topic: 't', records })
  assert.deepEqual([at(answer, 'partitions.0.baseOffset'), at(answer, 'partitions.0.recordCount')], [0, 100])
  const [fetched] = await server.hub.fetch({
    partitions: [{ topic: 't', partition: 0, offset: 0, maxBytes: 1e6 }],
    maxBytes: 1e6,
    minBytes: 1,
    maxWaitMs: 0,
  })
  assert.ok(fetched && fetched.batches.length >= 5 && fetched.batches.every(({ length }) => length <= 2048))
  assert.deepEqual(
    fetched.batches.flatMap((batch) => decodeBatch(batch).map(({ value }) => value?.[0])),
    records.map((_, index) => index),
  )
})

test('what cannot be produced is refused', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', partitionCount: 2, config: { maxMessageBytes: 1024 } })
  const batch = encodeBatch([{ key: null, value: null, headers: [], timestampMs }])
  const corrupt = Buffer.from(batch)
  corrupt[batch.length - 1] = 0xff
  const cases: readonly (readonly [Plain, number, string])[] = [
    [{ topic: 'none', records: recordsOf('a') }, 5, 'TOPIC_NOT_FOUND'],
    [{ topic: 't', partition: 2, records: recordsOf('a') }, 5, 'PARTITION_NOT_FOUND'],
    [{ topic: 't', partition: -1, records: recordsOf('a') }, 5, 'PARTITION_NOT_FOUND'],
    [{ topic: 't' }, 3, 'MALFORMED'],
    [{ topic: 't', records: [{ timestampMs: -5 }] }, 3, 'MALFORMED'],
    [{ topic: 't', recordBatch: batch }, 3, 'MALFORMED'],
    [{ topic: 't', partition: 0, recordBatch: batch, records: recordsOf('a') }, 3, 'MALFORMED'],
    [{ topic: 't', partition: 0, recordBatch: corrupt }, 3, 'RECORD_BATCH_CORRUPT'],
    [{ topic: 't', partition: 0, recordBatch: Buffer.from('this is no batch') }, 3, 'TRUNCATED'],
    [{ topic: 't', partition: 0, recordBatch: Buffer.concat([batch, batch]) }, 3, 'RECORD_BATCH_INVALID'],
    [{ topic: 't', partition: 0, records: recordsOf('x'.repeat(1100)) }, 3, 'RECORD_BATCH_TOO_LARGE'],
  ]
  for (const [request, status, code] of cases) {
    const { message, ...refusal } = await refusalOf(client.call('Produce', request))
    assert.deepEqual(refusal, { status, code }, String(message))
  }
  assert.deepEqual(
    server.hub.topics.get('t').partitions.map(({ highWatermark }) => highWatermark),
    [0, 0],
  )
})

test('when one partition refuses, the call fails and says that others have taken theirs', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', partitionCount: 4, config: { maxMessageBytes: 1024 } })
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => ({
    key: Buffer.from(key),
    value: Buffer.alloc(key === 'a' ? 1100 : 1),
  }))
  const refusal = await refusalOf(client.call('Produce', { topic: 't', records: keys }))
  assert.deepEqual([refusal.status, refusal.code], [3, 'RECORD_BATCH_TOO_LARGE'])
  assert.match(String(refusal.message), /^partition \d: .*; records for \d other of \d partitions were kept/)
})

test('a page of several partitions, with the fault of one', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', partitionCount: 2 })
  await client.call('Produce', { topic: 't', partition: 0, records: recordsOf('a', 'b', 'c') })
  const positions = [
    { topic: 't', partition: 0, offset: 1 },
    { topic: 't', partition: 1, offset: 7 },
    { topic: 'none', partition: 0, offset: 0 },
  ]
  const page = await client.call('Fetch', { positions })
  assert.deepEqual([at(page, 'partitions.0.records.0.offset'), at(page, 'partitions.0.nextOffset')], [1, 3])
  assert.deepEqual(
    [at(page, 'partitions.0.highWatermark'), at(page, 'partitions.0.logStartOffset'), at(page, 'partitions.0.error')],
    [3, 0, null],
  )
  assert.deepEqual([at(page, 'partitions.1.error.code'), at(page, 'partitions.1.nextOffset')], ['OFFSET_OUT_OF_RANGE', 7])
  assert.deepEqual([at(page, 'partitions.2.error.code'), at(page, 'partitions.2.topic')], ['TOPIC_NOT_FOUND', 'none'])
  assert.deepEqual((await refusalOf(client.call('Fetch', {}))).code, 'MALFORMED')
})

test('a page waits for records, and no longer than it was told', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const request = { positions: [{ topic: 't', partition: 0, offset: 0 }] }
  const waiting = client.call('Fetch', { ...request, maxWaitMs: 30_000 })
  await client.call('Produce', { topic: 't', records: recordsOf('a') })
  assert.equal(at(await waiting, 'partitions.0.records.0.offset'), 0)
  const empty = await client.call('Fetch', { positions: [{ topic: 't', partition: 0, offset: 1 }], maxWaitMs: 20 })
  assert.deepEqual([at(empty, 'partitions.0.records'), at(empty, 'partitions.0.nextOffset')], [[], 1])
})

test('a page is no larger than asked for, but has one record at least', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const records = Array.from({ length: 50 }, () => ({ key: null, value: Buffer.alloc(10_000, 'x'), headers: [], timestampMs }))
  await server.hub.append({ topic: 't', partition: 0 }, encodeBatch(records, { compression: 'gzip' }))
  for (const [maxBytes, expected] of [
    [1, 1],
    [35_000, 3],
    [4_000_000, 50],
  ]) {
    const page = await client.call('Fetch', { positions: [{ topic: 't', partition: 0, offset: 0 }], maxBytes })
    assert.equal(at(page, 'partitions.0.nextOffset'), expected)
  }
})

test('offsets of groups are committed and read', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't', partitionCount: 3 })
  const offsets = [
    { topic: 't', partition: 0, offset: 5, metadata: 'mine' },
    { topic: 't', partition: 2, offset: 7, metadata: '' },
  ]
  await client.call('CommitOffsets', { group: 'g', offsets })
  assert.deepEqual(await client.call('CommittedOffsets', { group: 'g' }), { offsets })
  const partitions = [
    { topic: 't', partition: 1 },
    { topic: 't', partition: 2 },
  ]
  const some = await client.call('CommittedOffsets', { group: 'g', partitions })
  assert.deepEqual([at(some, 'offsets.0.offset'), at(some, 'offsets.1.offset')], [-1, 7])
  const groups = await client.call('ListGroups', {})
  assert.deepEqual(groups, {
    groups: [{ id: 'g', state: 'Empty', protocolType: at(groups, 'groups.0.protocolType'), generation: 0, memberCount: 0 }],
  })
  const unknown = await refusalOf(
    client.call('CommitOffsets', { group: 'g', offsets: [{ topic: 'none', partition: 0, offset: 1 }] }),
  )
  assert.deepEqual([unknown.status, unknown.code], [5, 'TOPIC_NOT_FOUND'])
  assert.equal((await refusalOf(client.call('CommitOffsets', { group: '', offsets }))).code, 'GROUP_INVALID')
})
