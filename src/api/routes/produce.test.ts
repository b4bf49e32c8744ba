import assert from 'node:assert/strict'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { partitionFor } from '#formats/kafka/partitioner.ts'
import { decodeBatch, encodeBatch } from '#formats/kafka/records.ts'
import { until } from '../../../test/support/until.ts'
import { startApi, type TestApi } from '../api.fixture.ts'
import { producedSchema } from '../log-contract.ts'
import { createOrders, orders, post, produce, read, refusal, valuesOf } from './log.fixture.ts'

const json = 'application/json'
const lines = 'application/x-ndjson'
const batches = 'application/vnd.kafka.recordbatch'
const path = `${orders}/records`

/** What the log has, as bytes. */
async function stored(api: TestApi, partition = 0) {
  const [fetched] = await api.agent.fetch({
    partitions: [{ topic: 'orders', partition, offset: 0, maxBytes: 1e8 }],
    maxBytes: 1e8,
    minBytes: 0,
    maxWaitMs: 0,
  })
  return (fetched?.batches ?? []).flatMap((batch) => decodeBatch(batch))
}

test('every form of key, value and header is stored as it was meant', async () => {
  await using api = await startApi()
  await createOrders(api)
  const big = '{"id":9007199254740991,"f":1.50}'
  await produce(api, [
    { key: 'käse', value: 'text with "quotes"\n', timestamp: '2026-01-02T03:04:05.678Z' },
    { key: 7, value: { a: [1, null] }, timestamp: 12_345 },
    { key: null, value: null },
    {
      value: { base64: '/+8A' },
      headers: [
        { key: 'h', value: 'v' },
        { key: 'h', value: null },
        { key: '', value: { base64: '' } },
      ],
    },
    { value: { base64: 'AA==', more: 1 } },
    { value: '' },
    { value: false },
    { value: JSON.parse(big) },
  ])
  const records = await stored(api)
  assert.deepEqual(
    records.map(({ key, value }) => [key?.toString() ?? null, value?.toString('latin1') ?? null]),
    [
      ['käse', 'text with "quotes"\n'],
      ['7', '{"a":[1,null]}'],
      [null, null],
      [null, '\u{ff}\u{ef}\0'],
      [null, '{"base64":"AA==","more":1}'],
      [null, ''],
      [null, 'false'],
      [null, '{"id":9007199254740991,"f":1.5}'],
    ],
  )
  assert.deepEqual([records[0]?.timestampMs, records[1]?.timestampMs], [Date.UTC(2026, 0, 2, 3, 4, 5, 678), 12_345])
  assert.deepEqual(records[3]?.headers, [
    { key: 'h', value: Buffer.from('v') },
    { key: 'h', value: null },
    { key: '', value: Buffer.alloc(0) },
  ])
})

test('keys choose the partition that Java clients choose, records without a key stay together, and a partition can be named', async () => {
  await using api = await startApi()
  await createOrders(api, 7)
  const keys = Array.from({ length: 50 }, (_, index) => `key-${index}`)
  await produce(
    api,
    keys.map((key) => ({ key, value: key })),
  )
  const { records } = await read(api, '?limit=1000')
  for (const { partition, value } of records) assert.equal(partition, partitionFor(Buffer.from(String(value)), 7))
  assert.equal(records.length, 50)

  const first = await produce(api, [{ value: 1 }, { value: 2 }])
  const second = await produce(api, [{ value: 3 }, { value: 4 }])
  assert.deepEqual([first.offsets.length, second.offsets.length], [1, 1])
  assert.notEqual(first.offsets[0]?.partition, second.offsets[0]?.partition)

  const named = await produce(api, [{ key: 'a', value: 1 }, { value: 2, partition: 5 }, { value: 3 }], '?partition=6')
  assert.deepEqual(
    named.offsets.map(({ partition, count }) => [partition, count]),
    [
      [5, 1],
      [6, 2],
    ],
  )
})

test('the answer says which durability was reached', async () => {
  await using api = await startApi()
  await createOrders(api)
  const ackOf = async (query: string, body: Record<string, unknown> = {}) => {
    const answer = await api.call('POST', `${path}${query}`, { records: [{ value: 1 }], ...body })
    return Value.Parse(producedSchema, answer.body).ack
  }
  assert.deepEqual([await ackOf(''), await ackOf('?ack=none'), await ackOf('?ack=object')], ['wal', 'none', 'object'])
  assert.equal(await ackOf('?ack=none', { ack: 'wal' }), 'wal')
  assert.equal((await stored(api)).length, 4)
})

test('a body larger than one batch is cut into several', async () => {
  await using api = await startApi()
  await createOrders(api, 1, { maxMessageBytes: 2048 })
  const values = Array.from({ length: 30 }, (_, index) => `${index}`.padEnd(400, 'x'))
  const { offsets } = await produce(
    api,
    values.map((value) => ({ value })),
  )
  assert.deepEqual(offsets, [{ partition: 0, baseOffset: 0, lastOffset: 29, count: 30 }])
  assert.deepEqual(valuesOf(await read(api)), values)
})

test('a bad JSON body is told every place, and nothing of it is kept', async (t) => {
  await using api = await startApi()
  await createOrders(api, 2)
  const send = (records: unknown): string => JSON.stringify({ records })
  for (const [name, query, body, code, message] of [
    ['no JSON', '', '{"records":[', 'REQUEST_INVALID', /^body is not valid JSON/],
    ['no UTF-8', '', Buffer.from([0x22, 0xff, 0x22]), 'REQUEST_INVALID', /^body is not UTF-8/],
    ['an array', '', '[]', 'REQUEST_INVALID', /^body must be an object/],
    ['an empty body', '', '', 'REQUEST_INVALID', /^body is not valid JSON/],
    ['no records', '', send([]), 'REQUEST_INVALID', /^body\.records must be an array/],
    ['an unknown field', '', '{"records":[{"value":1}],"x":1}', 'REQUEST_INVALID', /^body\.x is not a known field/],
    ['a bad ack', '', '{"records":[{"value":1}],"ack":"all"}', 'REQUEST_INVALID', /^body\.ack must be one of none, wal, object/],
    ['a bad ack in the query', '?ack=1', send([{ value: 1 }]), 'REQUEST_INVALID', /^query\.ack must be one of/],
    ['a record that is none', '', send([{ value: 1 }, 3]), 'REQUEST_INVALID', /^body\.records\.1 must be an object$/],
    ['no value', '', send([{ key: 1 }]), 'REQUEST_INVALID', /^body\.records\.0\.value is required/],
    [
      'an unknown field of a record',
      '',
      send([{ value: 1, valeu: 2 }]),
      'REQUEST_INVALID',
      /^body\.records\.0\.valeu is not a known/,
    ],
    [
      'a prototype',
      '',
      '{"records":[{"value":1,"__proto__":{}}]}',
      'REQUEST_INVALID',
      /^body\.records\.0\.__proto__ is not a known/,
    ],
    [
      'bad base64',
      '',
      send([{ value: { base64: 'a' } }]),
      'REQUEST_INVALID',
      /^body\.records\.0\.value\.base64 is not valid base64/,
    ],
    ['half a character', '', '{"records":[{"value":"\\ud800"}]}', 'REQUEST_INVALID', /^body\.records\.0\.value is no Unicode/],
    [
      'a time that is none',
      '',
      send([{ value: 1, timestamp: 'now' }]),
      'REQUEST_INVALID',
      /^body\.records\.0\.timestamp must be a time/,
    ],
    [
      'a partition that is none',
      '',
      send([{ value: 1, partition: 1.5 }]),
      'REQUEST_INVALID',
      /^body\.records\.0\.partition must be/,
    ],
    [
      'headers that are none',
      '',
      send([{ value: 1, headers: { a: 1 } }]),
      'REQUEST_INVALID',
      /^body\.records\.0\.headers must be an array/,
    ],
    [
      'a header that is none',
      '',
      send([{ value: 1, headers: [{ key: 1 }] }]),
      'REQUEST_INVALID',
      /^body\.records\.0\.headers\.0 must be/,
    ],
    [
      'digits that would be lost',
      '',
      '{"records":[{"value":{"id":9007199254740993}}]}',
      'REQUEST_INVALID',
      /9007199254740993 has more digits/,
    ],
    ['an unknown partition', '', send([{ value: 1 }, { value: 2, partition: 9 }]), 'PARTITION_NOT_FOUND', /no partition 9/],
    ['an unknown partition in the query', '?partition=9', send([{ value: 1 }]), 'PARTITION_NOT_FOUND', /no partition 9/],
    [
      'a record above the limit',
      '',
      send([{ value: 1 }, { value: 'x'.repeat(1_100_000) }]),
      'RECORD_BATCH_TOO_LARGE',
      /maxMessageBytes/,
    ],
  ] as const) {
    await t.test(name, async () => {
      const refused = await refusal(api.fetch(`${path}${query}`, post(json, body)))
      assert.equal(refused.code, code, refused.message)
      assert.match(refused.message, message)
    })
  }
  const many = await refusal(api.fetch(path, post(json, send(Array.from({ length: 50 }, () => ({}))))))
  assert.match(many.message, /and 49 more/)
  assert.ok(Array.isArray(many.details?.['issues']) && many.details['issues'].length === 20)
  assert.deepEqual([...(await stored(api, 0)), ...(await stored(api, 1))], [])
})

test('topics and forms that cannot be written to are refused', async (t) => {
  await using api = await startApi()
  await createOrders(api)
  const record = JSON.stringify({ records: [{ value: 1 }] })
  for (const [name, url, init, status, code] of [
    ['an unknown topic', '/api/v1/topics/nope/records', post(json, record), 404, 'TOPIC_NOT_FOUND'],
    ['an unknown topic, by lines', '/api/v1/topics/nope/records', post(lines, '{"value":1}'), 404, 'TOPIC_NOT_FOUND'],
    ['a topic of Millrace', '/api/v1/topics/millrace.events/records', post(json, record), 400, 'TOPIC_INVALID'],
    ['a form', path, post('application/x-www-form-urlencoded', 'a=b'), 415, 'UNSUPPORTED'],
    ['no form', path, { method: 'POST' }, 415, 'UNSUPPORTED'],
    [
      'a packed body',
      path,
      { ...post(json, 'x'), headers: { 'content-type': json, 'content-encoding': 'gzip' } },
      415,
      'UNSUPPORTED',
    ],
    ['a body above the limit', path, post(json, ' '.repeat(16 * 2 ** 20 + 1)), 413, 'LIMIT_EXCEEDED'],
    ['batches without a partition', path, post(batches, encodeBatch([newRecord('a')])), 400, 'REQUEST_INVALID'],
    ['batches that are none', `${path}?partition=0`, post(batches, 'x'.repeat(100)), 400, 'RECORD_BATCH_INVALID'],
    ['half a batch', `${path}?partition=0`, post(batches, encodeBatch([newRecord('abc')]).subarray(0, -1)), 400, 'TRUNCATED'],
    ['no batch', `${path}?partition=0`, post(batches, ''), 400, 'REQUEST_INVALID'],
  ] as const) {
    await t.test(name, async () => {
      const refused = await refusal(api.fetch(url, init))
      assert.deepEqual([refused.status, refused.code], [status, code], refused.message)
    })
  }
})

test('a body without a length is held to the same limit', async () => {
  await using api = await startApi()
  await createOrders(api)
  const endless = Readable.toWeb(Readable.from(spaces(17)))
  const refused = await refusal(api.fetch(path, { ...post(json, endless), duplex: 'half' }))
  assert.deepEqual([refused.status, refused.code], [413, 'LIMIT_EXCEEDED'])
})

function* spaces(mebibytes: number): Generator<Buffer> {
  for (let sent = 0; sent < mebibytes; sent++) yield Buffer.alloc(2 ** 20, ' ')
}

test('a client that goes away in the middle leaves nothing behind but the lines that came', async () => {
  await using api = await startApi()
  await createOrders(api)
  for (const [type, sent, kept] of [
    [json, '{"records":[{"value":1}', 0],
    [lines, '{"value":1}\n{"val', 1],
  ] as const) {
    const sending = request(`${api.server.url}${path}`, { method: 'POST', headers: { 'content-type': type } })
    sending.on('error', () => undefined)
    await new Promise((resolve) => sending.write(sent, resolve))
    await until(async () => kept === 0 || (await stored(api)).length === kept)
    const closed = new Promise((resolve) => sending.once('close', resolve))
    sending.destroy()
    await closed
    assert.equal((await stored(api)).length, kept)
  }
  await produce(api, [{ value: 2 }])
  assert.equal((await stored(api)).length, 2)
  assert.ok(!api.logged.some(({ level }) => Number(level) >= 50))
})

test('100,000 lines are taken in little memory, in their order', async () => {
  await using api = await startApi()
  await createOrders(api, 3)
  const count = 100_000
  const body = Readable.toWeb(Readable.from(numberedLines(count)))
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)), 5)
  const response = await api.fetch(path, { ...post(lines, body), duplex: 'half' })
  clearInterval(watch)
  const answer: unknown = await response.json()
  assert.equal(response.status, 200, JSON.stringify(answer))
  const { offsets } = Value.Parse(producedSchema, answer)
  assert.equal(
    offsets.reduce((sum, one) => sum + one.count, 0),
    count,
  )
  for (const { partition, lastOffset } of offsets) {
    const numbers = (await stored(api, partition)).map(({ value }) => Number(value?.toString().split(' ', 1)[0]))
    assert.equal(numbers.length, lastOffset + 1)
    assert.ok(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0)))
  }
  // What the log itself keeps of the newest records, up to 64 MiB, is among it.
  assert.ok(most < 100 * 2 ** 20, `${most} bytes`)
})

function* numberedLines(count: number): Generator<Buffer> {
  for (let at = 0; at < count; at += 100) {
    const group = Array.from({ length: 100 }, (_, index) => `{"key":"k${index}","value":"${at + index} ${'x'.repeat(400)}"}\n`)
    yield Buffer.from(group.join(''))
  }
}

test('lines are kept while they come, and need no end', async () => {
  await using api = await startApi()
  await createOrders(api)
  const sending = request(`${api.server.url}${path}`, { method: 'POST', headers: { 'content-type': lines } })
  const answered = new Promise<string>((resolve, reject) => {
    sending.on('response', (response) => void text(response).then(resolve, reject))
    sending.on('error', reject)
  })
  sending.write('{"value":"first"}\r\n\r\n{"value":"sec')
  await until(async () => (await stored(api)).length === 1)
  sending.write('ond"}\n')
  await until(async () => (await stored(api)).length === 2)
  sending.end('{"value":"third"}')
  assert.deepEqual(JSON.parse(await answered), {
    ack: 'wal',
    offsets: [{ partition: 0, baseOffset: 0, lastOffset: 2, count: 3 }],
  })
  assert.deepEqual(valuesOf(await read(api)), ['first', 'second', 'third'])
})

test('a bad line ends it; what came before is kept, and said', async (t) => {
  await using api = await startApi()
  await createOrders(api)
  for (const [name, line, code, message] of [
    ['no JSON', 'oops', 'REQUEST_INVALID', /^line 3 is not valid JSON/],
    ['no value', '{"key":1}', 'REQUEST_INVALID', /^body\.lines\.3\.value is required/],
    ['an unknown partition', '{"value":1,"partition":4}', 'PARTITION_NOT_FOUND', /no partition 4/],
    ['a line above the limit', `{"value":"${'x'.repeat(4 * 2 ** 20)}"}`, 'LIMIT_EXCEEDED', /^line 3 is longer/],
  ] as const) {
    await t.test(name, async () => {
      const before = (await stored(api)).length
      const refused = await refusal(api.fetch(path, post(lines, `{"value":1}\n{"value":2}\n${line}\n{"value":3}\n`)))
      assert.equal(refused.code, code, refused.message)
      assert.match(refused.message, message)
      assert.deepEqual(refused.details?.['offsets'], [{ partition: 0, baseOffset: before, lastOffset: before + 1, count: 2 }])
      assert.equal((await stored(api)).length, before + 2)
    })
  }
  assert.match((await refusal(api.fetch(path, post(lines, '\n\n')))).message, /has no records/)
})

test('record batches are kept as they are', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  const sent = [
    encodeBatch([newRecord('a'), newRecord('b')], { compression: 'zstd' }),
    encodeBatch([newRecord('c')], { compression: 'snappy' }),
  ]
  const response = await api.fetch(`${path}?partition=1`, post(batches, Buffer.concat(sent)))
  assert.deepEqual(await response.json(), { ack: 'wal', offsets: [{ partition: 1, baseOffset: 0, lastOffset: 2, count: 3 }] })
  const got = Buffer.from(await (await api.fetch(`${path}?partition=1&format=batch`)).arrayBuffer())
  assert.deepEqual(got.subarray(17, sent[0]?.length), sent[0]?.subarray(17))
  assert.deepEqual(
    (await stored(api, 1)).map(({ value }) => value?.toString()),
    ['a', 'b', 'c'],
  )

  const corrupt = encodeBatch([newRecord('d')])
  corrupt[corrupt.length - 2] = 0
  const refused = await refusal(
    api.fetch(`${path}?partition=1`, post('application/octet-stream', Buffer.concat([encodeBatch([newRecord('e')]), corrupt]))),
  )
  assert.equal(refused.code, 'RECORD_BATCH_CORRUPT')
  assert.deepEqual(refused.details?.['offsets'], [{ partition: 1, baseOffset: 3, lastOffset: 3, count: 1 }])
})

test('an idempotent producer that repeats a batch is told where it is', async () => {
  await using api = await startApi()
  await createOrders(api)
  const batch = (): Buffer => encodeBatch([newRecord('a')], { producer: { id: 5, epoch: 0, baseSequence: 0 } })
  for (let round = 0; round < 2; round++) {
    const response = await api.fetch(`${path}?partition=0`, post(batches, batch()))
    assert.deepEqual(await response.json(), { ack: 'wal', offsets: [{ partition: 0, baseOffset: 0, lastOffset: 0, count: 1 }] })
  }
})

function newRecord(value: string) {
  return { key: null, value: Buffer.from(value), headers: [], timestampMs: 1000 }
}
