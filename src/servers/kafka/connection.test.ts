import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import fc from 'fast-check'
import { apis } from '#formats/kafka/apis.ts'
import { zeroUuid } from '#formats/kafka/codec.ts'
import { decodeResponse, encodeRequest } from '#formats/kafka/frame.ts'
import { until } from '../../../test/support/until.ts'
import { batchOf, fetchOf, MemoryHub, produceOf, startKafkaServer, userAccess } from './kafka.fixture.ts'

const everything = { topics: null }

test('requests in one chunk, and in single bytes, are answered in order', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  const header = (correlationId: number) => ({ correlationId, clientId: null })
  const requests = Buffer.concat([
    encodeRequest(apis.apiVersions, 0, header(1), {}),
    encodeRequest(apis.metadata, 12, header(2), everything),
    encodeRequest(apis.apiVersions, 3, header(3), { clientSoftwareName: 'x', clientSoftwareVersion: '1' }),
  ])
  client.socket.write(requests)
  for (const byte of requests) client.socket.write(Buffer.of(byte))
  const ids = []
  for (let i = 0; i < 6; i++) ids.push((await client.frame()).readInt32BE())
  assert.deepEqual(ids, [1, 2, 3, 1, 2, 3])
  assert.equal(kafka.server.stats.requests, 6)
})

test('records are appended while an earlier request of the connection waits, and answered after it', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await kafka.hub.topics.create({ name: 'b' })
  await using client = await kafka.connect()
  const polled = client.send('fetch', 11, fetchOf(['a'], { maxWaitMs: 20_000 }))
  await until(() => kafka.hub.fetches.length === 1, { what: 'the long poll' })
  const produced = client.send('produce', 8, produceOf('b', batchOf(1)))
  await until(() => kafka.hub.appends.length === 1, { what: 'the append' })
  assert.equal(client.waiting, 0)
  await using other = await kafka.connect()
  await other.request('produce', 8, produceOf('a', batchOf(3)))
  const answer = await polled()
  assert.equal(answer.responses[0]?.partitions[0]?.highWatermark, 3)
  assert.equal((await produced()).responses[0]?.partitionResponses[0]?.baseOffset, 0)
})

test('a long poll does not hold up other connections, and a gone client ends its own', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  const client = await kafka.connect()
  client.send('fetch', 11, fetchOf(['a'], { maxWaitMs: 20_000 }))
  await until(() => kafka.hub.fetches.length === 1, { what: 'the long poll' })
  await using other = await kafka.connect()
  assert.equal((await other.request('metadata', 9, everything)).topics.length, 1)
  await client[Symbol.asyncDispose]()
  await until(() => kafka.hub.fetches[0]?.signal?.aborted, { what: 'the long poll to be told' })
})

test('pipelined batches are appended in order, with one acknowledgement for many', async () => {
  const hub = new MemoryHub()
  const gate = Promise.withResolvers<void>()
  hub.acks = gate.promise
  await using kafka = await startKafkaServer({ hub })
  await hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  const answers = Array.from({ length: 50 }, (_, index) => client.send('produce', 9, produceOf('a', batchOf(index + 1))))
  await until(() => hub.appends.length === 50, { what: 'all batches to be appended before one is acknowledged' })
  assert.equal(client.waiting, 0)
  gate.resolve()
  const offsets = []
  for (const answer of answers) offsets.push((await answer()).responses[0]?.partitionResponses[0]?.baseOffset)
  assert.deepEqual(
    offsets,
    Array.from({ length: 50 }, (_, index) => (index * (index + 1)) / 2),
  )
})

test('a client is not read while too much of it is in flight', async () => {
  const hub = new MemoryHub()
  const gate = Promise.withResolvers<void>()
  hub.acks = gate.promise
  await using kafka = await startKafkaServer({ hub, settings: { maxInFlightBytes: 65_536 } })
  await hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  const answers = Array.from({ length: 20 }, () => client.send('produce', 9, produceOf('a', batchOf(1, 20_000))))
  await until(() => hub.appends.length === 4, { what: 'as many as may be in flight' })
  await using other = await kafka.connect()
  await other.request('metadata', 9, everything)
  assert.equal(hub.appends.length, 4)
  assert.ok(kafka.server.stats.requestBytes < 100_000)
  gate.resolve()
  for (const answer of answers) await answer()
  assert.equal(hub.appends.length, 20)
  await until(() => kafka.server.stats.requestBytes === 0, { what: 'all to be given back' })
})

test('a client that does not read its answers is not read either, and goes on when it does', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  await client.request('produce', 9, produceOf('a', batchOf(1, 900_000)))
  client.socket.pause()
  const answers = Array.from({ length: 60 }, () => client.send('fetch', 11, fetchOf(['a'])))
  await until(() => kafka.server.stats.answerBytes > 1_000_000, { what: 'answers to pile up' })
  await using other = await kafka.connect()
  await other.request('metadata', 9, everything)
  const { answerBytes } = kafka.server.stats
  assert.ok(answerBytes < 3_000_000, `${answerBytes} bytes wait for one client`)
  assert.ok(kafka.hub.fetches.length < 60)
  client.socket.resume()
  for (const answer of answers) assert.equal((await answer()).responses[0]?.partitions[0]?.records?.length, 900_000 + 72)
  await until(() => kafka.server.stats.answerBytes === 0, { what: 'all to be given back' })
})

test('acks=0 has no answer; a batch that cannot be taken ends the connection', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  client.send('produce', 9, produceOf('a', batchOf(1), { acks: 0 }))
  assert.equal((await client.request('metadata', 9, everything)).topics[0]?.name, 'a')
  assert.deepEqual(kafka.hub.appends, [{ topic: 'a', partition: 0, ack: 'none', baseOffset: 0 }])
  client.send('produce', 9, produceOf('missing', batchOf(1), { acks: 0 }))
  await client.untilClosed()
  assert.equal(client.waiting, 0)
})

test('an unknown version of ApiVersions is answered in version 0 with what there is', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  const request = encodeRequest(
    apis.apiVersions,
    4,
    { correlationId: 7, clientId: 'x' },
    { clientSoftwareName: 'a', clientSoftwareVersion: '1' },
  )
  request.writeInt16BE(99, 6)
  client.socket.write(request)
  const { correlationId, body } = decodeResponse(apis.apiVersions, 0, await client.frame())
  assert.deepEqual([correlationId, body.errorCode], [7, 35])
  assert.deepEqual(
    body.apiKeys.find(({ apiKey }) => apiKey === 0),
    { apiKey: 0, minVersion: 0, maxVersion: 9 },
  )
  assert.equal((await client.request('apiVersions', 0, {})).errorCode, 0)
})

const hopeless: [name: string, bytes: Buffer][] = [
  ['an API that there is not', Buffer.from('0000000a7fff000000000001ffff', 'hex')],
  ['a version that there is not', Buffer.from('0000000a0003006300000001ffff', 'hex')],
  ['a message that ends early', Buffer.from('0000000c0003000000000001ffff0001', 'hex')],
  ['a frame above the limit', Buffer.from('7fffffff', 'hex')],
  ['a web browser', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['a TLS client', Buffer.from('1603010200010001fc0303', 'hex')],
]
for (const [name, bytes] of hopeless) {
  test(`${name} ends the connection; what was asked before is answered, and others go on`, async () => {
    await using kafka = await startKafkaServer()
    await using other = await kafka.connect()
    await using client = await kafka.connect()
    const before = client.send('metadata', 9, everything)
    client.socket.write(bytes)
    assert.equal((await before()).clusterId, 'test-cluster')
    await client.untilClosed()
    assert.equal((await other.request('metadata', 9, everything)).clusterId, 'test-cluster')
    assert.equal(kafka.server.stats.brokenConnections, 1)
  })
}

test('connections above the limit are refused and counted', async () => {
  await using kafka = await startKafkaServer({ settings: { maxConnections: 1 } })
  await using first = await kafka.connect()
  await first.request('metadata', 9, everything)
  await using second = await kafka.connect()
  await second.untilClosed()
  assert.equal(kafka.server.stats.refusedConnections, 1)
  assert.equal((await first.request('metadata', 9, everything)).clusterId, 'test-cluster')
})

test('an idle client is let go, one in a long poll is not', async () => {
  await using kafka = await startKafkaServer({ settings: { idleSeconds: 0.3 } })
  await kafka.hub.topics.create({ name: 'a' })
  await using idle = await kafka.connect()
  await using polling = await kafka.connect()
  const polled = polling.send('fetch', 11, fetchOf(['a'], { maxWaitMs: 1500 }))
  await idle.untilClosed()
  assert.equal((await polled()).errorCode, 0)
})

test('whoever must log in and does not is let go', async () => {
  await using kafka = await startKafkaServer({ settings: { idleSeconds: 0.3 }, access: userAccess })
  await using client = await kafka.connect()
  await client.request('apiVersions', 0, {})
  await client.untilClosed()
})

test('whoever must log in gets no memory before', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await using client = await kafka.connect()
  const large = Buffer.alloc(4)
  large.writeInt32BE(65_537)
  client.socket.write(large)
  await client.untilClosed()
})

test('a server that stops answers what it has begun and ends long polls', async () => {
  const hub = new MemoryHub()
  const gate = Promise.withResolvers<void>()
  hub.acks = gate.promise
  await using kafka = await startKafkaServer({ hub })
  await hub.topics.create({ name: 'a' })
  await hub.topics.create({ name: 'b' })
  await using idle = await kafka.connect()
  await idle.request('apiVersions', 0, {})
  await using polling = await kafka.connect()
  const polled = polling.send('fetch', 11, fetchOf(['a'], { maxWaitMs: 20_000 }))
  await using producing = await kafka.connect()
  const produced = producing.send('produce', 9, produceOf('b', batchOf(1)))
  await until(() => hub.appends.length === 1 && hub.fetches.length === 1, { what: 'both to have begun' })
  const stopped = kafka.server[Symbol.asyncDispose]()
  await idle.untilClosed()
  assert.equal((await polled()).responses[0]?.partitions[0]?.errorCode, 0)
  gate.resolve()
  assert.equal((await produced()).responses[0]?.partitionResponses[0]?.errorCode, 0)
  await stopped
  assert.equal(kafka.server.stats.connections, 0)
})

test('a port that is taken is a coded error', async () => {
  await using kafka = await startKafkaServer()
  await assert.rejects(() => startKafkaServer({ settings: { port: kafka.server.port } }), { code: 'LISTEN_FAILED' })
})

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env['MILLRACE_FUZZ_RUNS'] ?? 300)
const header = { correlationId: 1, clientId: 'fuzz' }
const acl = {
  resourceType: 2,
  resourceName: 'a',
  resourcePatternType: 3,
  principal: 'User:x',
  host: '*',
  operation: 3,
  permissionType: 3,
}
const newTopic = {
  name: 'b',
  numPartitions: 1,
  replicationFactor: 1,
  assignments: [],
  configs: [{ name: 'retention.ms', value: '1' }],
}
const offset = { partitionIndex: 0, committedOffset: 1, committedMetadata: 'm' }
const valid: readonly Buffer[] = [
  encodeRequest(apis.produce, 9, header, produceOf('a', batchOf(3))),
  encodeRequest(apis.produce, 3, header, produceOf('a', batchOf(1), { acks: 0 })),
  encodeRequest(apis.fetch, 12, header, fetchOf(['a', 'b'])),
  encodeRequest(apis.metadata, 12, header, { topics: [{ name: 'a' }] }),
  encodeRequest(apis.apiVersions, 3, header, { clientSoftwareName: 'x', clientSoftwareVersion: '1' }),
  encodeRequest(apis.createTopics, 7, header, { topics: [newTopic], timeoutMs: 1 }),
  encodeRequest(apis.createAcls, 3, header, { creations: [acl] }),
  encodeRequest(apis.offsetCommit, 8, header, { groupId: 'g', topics: [{ name: 'a', partitions: [offset] }] }),
  encodeRequest(apis.offsetFetch, 8, header, { groups: [{ groupId: 'g', topics: null }] }),
  encodeRequest(apis.saslHandshake, 0, header, { mechanism: 'PLAIN' }),
  encodeRequest(apis.saslAuthenticate, 2, header, { authBytes: Buffer.from('\0alice\0x') }),
  encodeRequest(apis.listOffsets, 7, header, {
    replicaId: -1,
    topics: [{ name: 'a', partitions: [{ partitionIndex: 0, timestamp: -3 }] }],
  }),
  encodeRequest(apis.deleteTopics, 6, header, { topics: [{ name: 'c', topicId: zeroUuid }], timeoutMs: 1 }),
]

const edit = fc.record({ at: fc.nat(), value: fc.nat(255) })
/** A request with some of its bytes changed, behind the length or in it; or cut short. */
const damaged = fc
  .tuple(fc.constantFrom(...valid), fc.array(edit, { maxLength: 4 }), fc.option(fc.nat()))
  .map(([original, edits, cut]) => {
    const bytes = Buffer.from(original)
    for (const { at, value } of edits) bytes[at % bytes.length] = value
    return cut === null ? bytes : bytes.subarray(0, cut % bytes.length)
  })
const noise = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes))

test(`fuzz: whatever a client sends, others are not disturbed and nothing is left behind (seed ${seed})`, async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using other = await kafka.connect()
  const sent = fc.array(fc.oneof({ weight: 9, arbitrary: damaged }, { weight: 1, arbitrary: noise }), {
    minLength: 1,
    maxLength: 6,
  })
  await fc.assert(
    fc.asyncProperty(sent, async (frames) => {
      await using client = await kafka.connect()
      client.socket.end(Buffer.concat(frames))
      if (!client.isClosed) await once(client.socket, 'close')
      assert.equal((await other.request('metadata', 9, { topics: [] })).clusterId, 'test-cluster')
    }),
    { seed, numRuns },
  )
  await until(() => kafka.server.stats.connections === 1, { what: 'all connections to be gone' })
  const { failedRequests, requestBytes, answerBytes } = kafka.server.stats
  assert.deepEqual({ failedRequests, requestBytes, answerBytes }, { failedRequests: 0, requestBytes: 0, answerBytes: 0 })
})
