import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader } from '#bytes/reader.ts'
import { advertisedVersions, apiByKey, apis, type Api, type ApiName, type RequestOf, type ResponseInputOf } from './apis.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  encodeResponseChunks,
  readRequestHeader,
  type RequestHeader,
} from './frame.ts'

const headers: [name: string, hex: string, header: RequestHeader, rest: number][] = [
  ['header 1', '0012000000000007000161', { apiKey: 18, apiVersion: 0, correlationId: 7, clientId: 'a' }, 0],
  ['no client id', '0012000000000007ffff', { apiKey: 18, apiVersion: 0, correlationId: 7, clientId: null }, 0],
  ['header 2', '0001000c00000007000161' + '00' + 'ff', { apiKey: 1, apiVersion: 12, correlationId: 7, clientId: 'a' }, 1],
  ['tags', '0001000c00000007000161' + '010502eeee' + 'ff', { apiKey: 1, apiVersion: 12, correlationId: 7, clientId: 'a' }, 1],
  ['a version to come', '0012006300000007000161' + '00', { apiKey: 18, apiVersion: 99, correlationId: 7, clientId: 'a' }, 0],
  ['SaslHandshake', '00110001000000070001616162', { apiKey: 17, apiVersion: 1, correlationId: 7, clientId: 'a' }, 2],
  ['OffsetDelete', '002f0000000000070001616162', { apiKey: 47, apiVersion: 0, correlationId: 7, clientId: 'a' }, 2],
  ['an unknown key', '03e7000900000007000161ff', { apiKey: 999, apiVersion: 9, correlationId: 7, clientId: 'a' }, 1],
]

for (const [name, hex, header, rest] of headers) {
  test(`the header of a request is read: ${name}`, () => {
    const r = new Reader(Buffer.from(hex, 'hex'))
    assert.deepEqual(readRequestHeader(r), header)
    assert.equal(r.remaining, rest)
  })
}

test('a client id of negative length is refused', () => {
  assert.throws(() => readRequestHeader(new Reader(Buffer.from('0012000000000007fffe', 'hex'))), { code: 'TRUNCATED' })
})

test('the response to ApiVersions has the first header in all versions', () => {
  const body = { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] }
  // length, correlation id, error code, one key, throttle time, no tags
  assert.equal(
    encodeResponse(apis.apiVersions, 3, 7, body).toString('hex'),
    '00000013' + '00000007' + '0000' + '02001200000004' + '00' + '00000000' + '00',
  )
  assert.equal(
    encodeResponse(apis.apiVersions, 0, 7, body).toString('hex'),
    '00000010' + '00000007' + '0000' + '00000001001200000004',
  )
})

test('Fetch 12 has its sparse fields as tags behind the records', () => {
  const partition = { partitionIndex: 1, errorCode: 0, highWatermark: 5, lastStableOffset: 5, logStartOffset: 0, records: null }
  const body = { responses: [{ topic: 'a', partitions: [{ ...partition, currentLeader: { leaderId: 1, leaderEpoch: 2 } }] }] }
  const hex = [
    '00000007' + '00', // correlation id, no tags
    '00000000' + '0000' + '00000000', // throttle time, error code, session
    '02' + '0261' + '02', // one topic: "a", one partition
    '00000001' + '0000' + '0000000000000005' + '0000000000000005' + '0000000000000000', // index, error code, offsets
    '00' + 'ffffffff' + '00', // no aborted transactions, no preferred replica, no records
    '01' + '01' + '09' + '00000001' + '00000002' + '00', // one tag: 1, 9 bytes: current leader, no tags in it
    '00' + '00', // no tags of the topic, nor of the response
  ].join('')
  assert.equal(encodeResponse(apis.fetch, 12, 7, body).subarray(4).toString('hex'), hex)
  const { body: read } = decodeResponse(apis.fetch, 12, Buffer.from(hex, 'hex'))
  const [there] = read.responses[0]?.partitions ?? []
  assert.deepEqual([there?.currentLeader, there?.divergingEpoch], [{ leaderId: 1, leaderEpoch: 2 }, null])
})

test('records of a produce request are views into the frame', () => {
  const records = Buffer.alloc(100, 7)
  const frame = encodeRequest(
    apis.produce,
    9,
    { correlationId: 1, clientId: null },
    {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: 'a', partitionData: [{ index: 0, records }] }],
    },
  )
  const r = new Reader(frame.subarray(4))
  readRequestHeader(r)
  const request = decodeRequest(apis.produce, 9, r)
  assert.equal(r.remaining, 0)
  const [partition] = request.topicData[0]?.partitionData ?? []
  assert.equal(partition?.records?.buffer, frame.buffer)
  assert.deepEqual(partition.records, records)
})

test('large batches of a response are chunks as they stand, small ones are copied', () => {
  const large = [Buffer.alloc(4096, 1), Buffer.alloc(70_000, 2)]
  const small = Buffer.alloc(4095, 3)
  const partition = { partitionIndex: 0, errorCode: 0, highWatermark: 5 }
  for (const version of [4, 11, 12]) {
    const body = {
      responses: [
        {
          topic: 'a',
          partitions: [
            { ...partition, records: large },
            { ...partition, records: [small] },
          ],
        },
      ],
    }
    const whole = encodeResponse(apis.fetch, version, 7, body)
    const chunks = encodeResponseChunks(apis.fetch, version, 7, body)
    assert.deepEqual(Buffer.concat(chunks), whole)
    assert.equal(whole.readUInt32BE(0), whole.length - 4)
    assert.equal(chunks.length, 4)
    assert.equal(chunks[1], large[0])
    assert.equal(chunks[2], large[1])
  }
})

test('versions that an API does not have are refused', () => {
  const refusal = { code: 'UNSUPPORTED', details: { apiKey: 1, version: 13, min: 4, max: 12 } }
  assert.throws(() => decodeRequest(apis.fetch, 13, new Reader(Buffer.alloc(100))), refusal)
  assert.throws(() => encodeResponse(apis.fetch, 3, 7, { responses: [] }), { code: 'UNSUPPORTED' })
})

test('bytes behind a response are refused, behind a request ignored', () => {
  const response = encodeResponse(apis.heartbeat, 0, 7, { errorCode: 0 })
  assert.throws(() => decodeResponse(apis.heartbeat, 0, Buffer.concat([response.subarray(4), Buffer.alloc(1)])), {
    code: 'MALFORMED',
  })
  assert.deepEqual(decodeRequest(apis.saslHandshake, 1, new Reader(Buffer.from('000161ff', 'hex'))), { mechanism: 'a' })
})

test('the versions of all APIs are advertised once, in the order of their keys', () => {
  const keys = advertisedVersions().map(({ apiKey }) => apiKey)
  assert.deepEqual(
    keys,
    [...new Set(keys)].toSorted((a, b) => a - b),
  )
  assert.deepEqual(advertisedVersions()[1], { apiKey: 1, minVersion: 4, maxVersion: 12 })
  for (const { name, key } of Object.values(apis)) assert.equal(apiByKey(key)?.name, name)
  assert.equal(apiByKey(4), undefined)
})

test('a table of handlers can be served without knowing which API it is', () => {
  type Handlers = { readonly [N in ApiName]?: (request: RequestOf<N>) => ResponseInputOf<N> }
  const handlers: Handlers = { heartbeat: ({ generationId }) => ({ errorCode: generationId === 3 ? 0 : 22 }) }

  function serve<N extends ApiName>(api: Api<N>, version: number, r: Reader): Buffer {
    const handle: Handlers[N] = handlers[api.name]
    assert.ok(handle)
    return encodeResponse(api, version, 7, handle(decodeRequest(api, version, r)))
  }

  const frame = encodeRequest(
    apis.heartbeat,
    4,
    { correlationId: 7, clientId: 'a' },
    { groupId: 'g', generationId: 3, memberId: 'm' },
  )
  const r = new Reader(frame.subarray(4))
  const api = apiByKey(readRequestHeader(r).apiKey)
  assert.ok(api)
  assert.deepEqual(decodeResponse(apis.heartbeat, 4, serve(api, 4, r).subarray(4)).body, { throttleTimeMs: 0, errorCode: 0 })
})
