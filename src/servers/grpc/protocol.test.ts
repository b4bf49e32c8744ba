import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { OutgoingHttpHeaders } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { compressionAlgorithms, credentials } from '@grpc/grpc-js'
import { listTopicsResponse, produceRequest } from '#formats/protobuf/schemas/log-v1.ts'
import { writeTestCertificate } from '../../../test/support/test-certificate.ts'
import { until } from '../../../test/support/until.ts'
import { at, basic, drain, recordsOf, refusalOf, startGrpcServer, userAccess, valuesOf } from './grpc.fixture.ts'
import { frame, RawClient } from './raw-client.fixture.ts'

const produce = '/millrace.log.v1.Log/Produce'
const produceStream = '/millrace.log.v1.Log/ProduceStream'
const listTopics = '/millrace.log.v1.Log/ListTopics'
const empty = frame(Buffer.alloc(0))

test('the deadline of the client ends a call that waits', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const positions = [{ topic: 't', partition: 0, offset: 0 }]
  const refusal = await refusalOf(client.call('Fetch', { positions, maxWaitMs: 30_000 }, { deadlineMs: 50 }))
  assert.equal(refusal.status, 4)
  const { refusal: ofStream } = await drain(client.stream('Consume', { topic: 't', follow: true }, { deadlineMs: 50 }))
  assert.equal(ofStream?.status, 4)
  await until(() => server.server.stats.openCalls === 0)
})

test('the server itself keeps the deadline', async () => {
  await using server = await startGrpcServer()
  await server.hub.topics.create({ name: 't' })
  await using raw = new RawClient(server.server.port)
  const request = frame(Buffer.from('0a030a0174' + '2090bf05', 'hex'))
  const { headers } = await raw.send('/millrace.log.v1.Log/Fetch', request, { headers: { 'grpc-timeout': '20m' } })
  assert.deepEqual([headers['grpc-status'], headers['millrace-error']], ['4', 'TIMEOUT'])
})

test('messages compressed with gzip are read, and answered so', async () => {
  await using server = await startGrpcServer()
  using client = server.client({ channel: { 'grpc.default_compression_algorithm': compressionAlgorithms.gzip } })
  await client.call('CreateTopic', { name: 't' })
  const value = 'x'.repeat(200_000)
  await client.call('Produce', { topic: 't', partition: 0, records: recordsOf(value) })
  assert.ok(server.server.stats.receivedBytes < 10_000)
  const { messages } = await drain(client.stream('Consume', { topic: 't' }))
  assert.deepEqual(valuesOf(messages), [value])
  assert.ok(server.server.stats.sentBytes < 10_000)
})

test('an answer is compressed only for who compresses, and only when it is worth it', async () => {
  await using server = await startGrpcServer()
  for (let index = 0; index < 20; index++) await server.hub.topics.create({ name: `topic-${index}` })
  await using raw = new RawClient(server.server.port)
  const both = { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' }
  const compressed = await raw.send(listTopics, frame(gzipSync(Buffer.alloc(0)), 1), { headers: both })
  assert.deepEqual([compressed.headers['grpc-encoding'], compressed.body[0]], ['gzip', 1])
  const { topics } = listTopicsResponse.decode(gunzipSync(compressed.body.subarray(5)))
  assert.equal(topics.length, 20)
  const plain = await raw.send(listTopics, empty, { headers: { 'grpc-accept-encoding': 'gzip' } })
  assert.deepEqual([plain.headers['grpc-encoding'], plain.body[0]], [undefined, 0])
  const deaf = await raw.send(listTopics, empty, { headers: { 'grpc-encoding': 'gzip' } })
  assert.deepEqual([deaf.headers['grpc-encoding'], deaf.body[0]], [undefined, 0])
})

test('with a certificate the server speaks TLS', async () => {
  await using files = await writeTestCertificate()
  const certificate = await readFile(files.certificateFile)
  await using server = await startGrpcServer({ tls: { certificate, key: await readFile(files.keyFile) } })
  using client = server.client({ credentials: credentials.createSsl(certificate) })
  await client.call('CreateTopic', { name: 't' })
  const { messages } = await drain(client.stream('Consume', { topic: 't' }))
  assert.deepEqual(messages, [])
  using other = server.client({ credentials: credentials.createSsl() })
  assert.equal((await refusalOf(other.call('ListTopics', {}, { deadlineMs: 5000 }))).status, 14)
  await until(() => server.server.stats.failedTlsHandshakes > 0)
})

test('a certificate that is none is refused', async () => {
  const tls = { certificate: Buffer.from('no'), key: Buffer.from('no') }
  await assert.rejects(startGrpcServer({ tls }), { code: 'CONFIG_INVALID' })
})

test('a port that is taken is named', async () => {
  await using server = await startGrpcServer()
  const { port } = server.server
  await assert.rejects(startGrpcServer({ settings: { port } }), {
    code: 'LISTEN_FAILED',
    message: new RegExp(`port ${port}.*grpc\\.port`),
  })
})

test('reading is for users, producing and changing for administrators', async () => {
  await using server = await startGrpcServer({ access: userAccess })
  using root = server.client({ user: 'root' })
  using alice = server.client({ user: 'alice' })
  using nobody = server.client()
  await root.call('CreateTopic', { name: 't' })
  await root.call('Produce', { topic: 't', records: recordsOf('a') })
  assert.deepEqual(valuesOf((await drain(alice.stream('Consume', { topic: 't' }))).messages), ['a'])
  await alice.call('CommitOffsets', { group: 'g', offsets: [{ topic: 't', partition: 0, offset: 1 }] })
  for (const [method, request] of [
    ['CreateTopic', { name: 'x' }],
    ['DeleteTopic', { name: 't' }],
    ['Produce', { topic: 't', records: recordsOf('a') }],
  ] as const) {
    const { status, code } = await refusalOf(alice.call(method, request))
    assert.deepEqual([status, code], [7, 'FORBIDDEN'], method)
  }
  const talk = await drain(alice.talk('ProduceStream'))
  assert.deepEqual([talk.refusal?.status, talk.refusal?.code], [7, 'FORBIDDEN'])
  for (const method of ['ListTopics', 'DescribeTopic', 'ListGroups']) {
    const { status, code } = await refusalOf(nobody.call(method, {}))
    assert.deepEqual([status, code], [16, 'UNAUTHORIZED'], method)
  }
  assert.equal((await drain(nobody.stream('Consume', { topic: 't' }))).refusal?.status, 16)
})

test('wrong credentials are refused, and after some the connection is closed', async () => {
  await using server = await startGrpcServer({ access: userAccess })
  await using raw = new RawClient(server.server.port)
  const wrong = [
    'Basic %%%',
    'Bearer abc',
    basic('nobody', 'x'),
    basic('root', ''),
    basic('root', 'x'),
    basic('alice', 'rootroot'),
    basic('', ''),
  ]
  for (const authorization of wrong) {
    const { headers } = await raw.send(listTopics, empty, { headers: { authorization } })
    assert.deepEqual([headers['grpc-status'], headers['millrace-error']], ['16', 'UNAUTHORIZED'], authorization)
  }
  await until(() => raw.session.destroyed)
  assert.equal(server.server.stats.failedLogins, wrong.length)
})

test('a password that was changed is asked for at once', async () => {
  let password = 'old'
  const access = { isRequired: () => true, findPassword: () => password, isAdmin: () => true }
  await using server = await startGrpcServer({ access })
  using client = server.client()
  const metadata = { authorization: basic('root', 'old') }
  await client.call('ListTopics', {}, { metadata })
  password = 'new'
  assert.equal((await refusalOf(client.call('ListTopics', {}, { metadata }))).status, 16)
})

const refused: readonly (readonly [
  name: string,
  path: string,
  body: Buffer,
  headers: OutgoingHttpHeaders,
  status: string,
  code: string,
])[] = [
  ['an unknown method', '/millrace.log.v1.Log/Nothing', empty, {}, '12', 'UNSUPPORTED'],
  ['an unknown service', '/Nothing', empty, {}, '12', 'UNSUPPORTED'],
  ['an unknown compression', listTopics, empty, { 'grpc-encoding': 'br' }, '12', 'UNSUPPORTED'],
  ['a deadline that is none', listTopics, empty, { 'grpc-timeout': 'soon' }, '3', 'MALFORMED'],
  ['no message', listTopics, Buffer.alloc(0), {}, '3', 'MALFORMED'],
  ['two messages', listTopics, Buffer.concat([empty, empty]), {}, '3', 'MALFORMED'],
  ['half a message', listTopics, frame(Buffer.from('abc'), 0, 10), {}, '3', 'TRUNCATED'],
  ['half a prefix', listTopics, Buffer.of(0, 0, 0), {}, '3', 'TRUNCATED'],
  ['a flag that is none', listTopics, frame(Buffer.alloc(3), 7), {}, '3', 'MALFORMED'],
  ['compressed, but not said how', listTopics, frame(gzipSync(''), 1), {}, '3', 'MALFORMED'],
  ['compressed, but not so', listTopics, frame(Buffer.from('no gzip'), 1), { 'grpc-encoding': 'gzip' }, '3', 'MALFORMED'],
  ['what is no protobuf', produce, frame(Buffer.from('ffffffff', 'hex')), {}, '3', 'TRUNCATED'],
  ['more than the limit', produce, frame(Buffer.alloc(100_000)), {}, '8', 'LIMIT_EXCEEDED'],
  [
    'more than the limit when decompressed',
    produce,
    frame(gzipSync(Buffer.alloc(100_000)), 1),
    { 'grpc-encoding': 'gzip' },
    '8',
    'LIMIT_EXCEEDED',
  ],
]
for (const [name, path, body, headers, status, code] of refused) {
  test(`${name} is refused with ${code}`, async () => {
    await using server = await startGrpcServer({ settings: { maxMessageBytes: 65_536 } })
    await using raw = new RawClient(server.server.port)
    const { headers: received, trailers } = await raw.send(path, body, { headers })
    const end = { ...received, ...trailers }
    assert.deepEqual(
      [received[':status'], end['grpc-status'], end['millrace-error']],
      [200, status, code],
      String(end['grpc-message']),
    )
    if (status === '12') assert.equal(received['grpc-accept-encoding'], 'identity,gzip')
    assert.equal((await raw.send(listTopics, empty)).trailers['grpc-status'], '0', 'the connection goes on')
    await until(() => server.server.stats.requestBytes === 0 && server.server.stats.openCalls === 0)
  })
}

test('a message above the limit is refused when it begins', async () => {
  await using server = await startGrpcServer({ settings: { maxMessageBytes: 65_536 } })
  await using raw = new RawClient(server.server.port)
  const { headers, rstCode } = await raw.send(produceStream, frame(Buffer.alloc(10), 0, 2 ** 32 - 1), { isOpen: true })
  assert.deepEqual([headers['grpc-status'], headers['millrace-error'], rstCode], ['8', 'LIMIT_EXCEEDED', 0])
})

test('what is not gRPC is answered as HTTP', async () => {
  await using server = await startGrpcServer()
  await using raw = new RawClient(server.server.port)
  const json = await raw.send(listTopics, empty, { headers: { 'content-type': 'application/json' } })
  const get = await raw.send('/', Buffer.alloc(0), { headers: { ':method': 'PUT' } })
  assert.deepEqual([json.headers[':status'], get.headers[':status']], [415, 405])
})

test('what is not HTTP/2 ends its connection only', async () => {
  await using server = await startGrpcServer()
  for (const bytes of [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
    '\x16\x03\x01\x02',
  ]) {
    const socket = connectTcp(server.server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.end(bytes, 'latin1')
    socket.resume()
    await once(socket, 'close')
  }
  using client = server.client()
  await client.call('ListTopics', {})
})

test('random bytes as messages of every method harm nothing', async () => {
  await using server = await startGrpcServer()
  await using raw = new RawClient(server.server.port)
  const whole = frame(produceRequest.encode({ topic: 't', records: [{ value: Buffer.from('v') }] }))
  const methods = ['Produce', 'ProduceStream', 'Consume', 'Fetch', 'CreateTopic', 'CommitOffsets', 'CommittedOffsets']
  let seed = 1
  for (let round = 0; round < 140; round++) {
    const body = Buffer.from(whole)
    for (let edits = 0; edits < 3; edits++) {
      seed = (seed * 48_271) % 2_147_483_647
      body[5 + (seed % (body.length - 5))] = seed % 256
    }
    const { headers, trailers } = await raw.send(`/millrace.log.v1.Log/${methods[round % methods.length] ?? ''}`, body)
    const status = { ...headers, ...trailers }['grpc-status']
    assert.ok(status !== undefined && !['2', '13'].includes(String(status)), `round ${round}: ${String(status)}`)
  }
  assert.equal(server.server.stats.endedByStatus.INTERNAL, undefined)
})

test('no more connections than allowed', async () => {
  await using server = await startGrpcServer({ settings: { maxConnections: 1 } })
  await using first = new RawClient(server.server.port)
  await first.send(listTopics, empty)
  await using second = new RawClient(server.server.port)
  await once(second.session, 'close')
  assert.deepEqual([server.server.stats.refusedConnections, server.server.stats.connections], [1, 1])
})

test('stopping answers what was begun and ends what waits', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const consumed = drain(client.stream('Consume', { topic: 't', follow: true }))
  const talk = client.talk('ProduceStream')
  const talked = drain(talk)
  talk.write({ sequence: 1, request: { topic: 't', ack: 'ACK_OBJECT', records: recordsOf('a') } })
  const fetched = client
    .call('Fetch', { positions: [{ topic: 't', partition: 0, offset: 5 }], maxWaitMs: 30_000 })
    .catch(() => 'refused')
  const produced = client.call('Produce', { topic: 't', ack: 'ACK_OBJECT', records: recordsOf('b') })
  await until(() => server.server.stats.openCalls >= 3 && server.hub.topics.get('t').partitions[0]?.nextOffset === 2)
  const beganMs = performance.now()
  await server.server[Symbol.asyncDispose]()
  assert.ok(performance.now() - beganMs < 4000)
  const [{ refusal: ofConsume }, { messages, refusal: ofTalk }] = await Promise.all([consumed, talked])
  assert.deepEqual([ofConsume?.status, ofConsume?.code], [14, 'SHUTTING_DOWN'])
  assert.deepEqual([ofTalk?.status, at(messages[0], 'outcomes.0.produced.ack')], [14, 'ACK_OBJECT'])
  assert.equal(at(await produced, 'ack'), 'ACK_OBJECT')
  await fetched
  await server.server[Symbol.asyncDispose]()
})
