import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { splitBatches } from '#formats/kafka/record-batch.ts'
import { decodeBatch, encodeBatch } from '#formats/kafka/records.ts'
import { until } from '../../../test/support/until.ts'
import { startApi, type TestApi } from '../api.fixture.ts'
import { recordPageSchema } from '../log-contract.ts'
import { createOrders, fill, orders, post, produce, read, refusal, valuesOf } from './log.fixture.ts'

const path = `${orders}/records`

test('pages follow each other over all partitions without gap or overlap, and every partition has its turn', async () => {
  await using api = await startApi()
  await createOrders(api, 3)
  for (const partition of [0, 1, 2])
    for (let round = 0; round < 5; round++) await fill(api, 20, { partition, prefix: `${partition}-${round}-` })
  const seen: string[] = []
  let page = await read(api, '?limit=30')
  const firstSeen = new Map<number, number>()
  for (let pages = 1; page.records.length > 0; pages++) {
    for (const { partition, offset } of page.records) {
      if (!firstSeen.has(partition)) firstSeen.set(partition, pages)
      seen.push(`${partition}:${offset}`)
    }
    page = await read(api, `?limit=30&cursor=${page.nextCursor}`)
  }
  assert.deepEqual(
    [...firstSeen.values()].toSorted((a, b) => a - b),
    [1, 2, 3],
  )
  assert.equal(new Set(seen).size, 300)
  assert.equal(seen.length, 300)
  for (const partition of [0, 1, 2]) {
    const offsets = seen.filter((one) => one.startsWith(`${partition}:`)).map((one) => Number(one.split(':')[1]))
    assert.deepEqual(
      offsets,
      Array.from({ length: 100 }, (_, index) => index),
    )
  }
  assert.deepEqual(
    page.partitions,
    [0, 1, 2].map((partition) => ({ partition, nextOffset: 100, highWatermark: 100, logStartOffset: 0 })),
  )
})

test('at the end the next offset stays where it is', async () => {
  await using api = await startApi()
  await createOrders(api)
  await fill(api, 3)
  let page = await read(api)
  for (let round = 0; round < 3; round++) {
    page = await read(api, `?cursor=${page.nextCursor}`)
    assert.deepEqual([page.records, page.partitions[0]?.nextOffset], [[], 3])
  }
  await fill(api, 1, { prefix: 'new' })
  assert.deepEqual(valuesOf(await read(api, `?cursor=${page.nextCursor}`)), ['new0'])
})

test('reading begins at an offset, an end or a time', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  await produce(
    api,
    [1, 2, 3].map((day) => ({ value: `day ${day}`, timestamp: `2026-01-0${day}T00:00:00Z`, partition: 1 })),
  )
  for (const [query, values] of [
    ['?partition=1&offset=1', ['day 2', 'day 3']],
    ['?partition=1&offset=3', []],
    ['?partition=0', []],
    ['?at=latest', []],
    ['?at=earliest&limit=2', ['day 1', 'day 2']],
    ['?at=2026-01-02T12:00:00Z', ['day 3']],
    [`?at=${Date.UTC(2026, 0, 2)}`, ['day 2', 'day 3']],
    ['?at=2027-01-01T00:00:00Z', []],
  ] as const) {
    assert.deepEqual(valuesOf(await read(api, query)), values, query)
  }
})

test('a page ends at its limits, also inside a batch and inside what was compressed', async () => {
  await using api = await startApi()
  await createOrders(api)
  const records = Array.from({ length: 100 }, (_, index) => ({
    key: null,
    value: Buffer.from(`${index}`.padEnd(1000, ' ')),
    headers: [],
    timestampMs: 1,
  }))
  await api.fetch(`${path}?partition=0`, post('application/octet-stream', encodeBatch(records, { compression: 'zstd' })))
  const first = await read(api, '?limit=7')
  assert.deepEqual([first.records.length, first.partitions[0]?.nextOffset], [7, 7])
  const second = await read(api, `?maxBytes=5000&cursor=${first.nextCursor}`)
  assert.deepEqual([second.records.length, second.partitions[0]?.nextOffset], [5, 12])
  assert.equal((await read(api, `?maxBytes=1&cursor=${second.nextCursor}`)).records.length, 1, 'at least one')
})

test('bytes come as text, as base64 where they are none, and as JSON when asked for', async () => {
  await using api = await startApi()
  await createOrders(api)
  await produce(api, [
    { key: { base64: '/w==' }, value: '{ "id":\r\n 12345678901234567890 }', headers: [{ key: 'h', value: { base64: '/w==' } }] },
    { key: '1', value: 'no JSON' },
    { value: null },
  ])
  const plain = (await read(api)).records.map(({ key, value, headers }) => ({ key, value, headers }))
  assert.deepEqual(plain, [
    { key: { base64: '/w==' }, value: '{ "id":\r\n 12345678901234567890 }', headers: [{ key: 'h', value: { base64: '/w==' } }] },
    { key: '1', value: 'no JSON', headers: [] },
    { key: null, value: null, headers: [] },
  ])
  const text = await (await api.fetch(`${path}?as=json`)).text()
  assert.ok(text.includes('12345678901234567890 }'), 'no digit is lost')
  const parsed = Value.Parse(recordPageSchema, JSON.parse(text))
  assert.deepEqual([parsed.records[1]?.key, parsed.records[1]?.value], ['1', 'no JSON'])
  const lines = (await (await api.fetch(`${path}?as=json&format=ndjson`)).text()).trim().split('\n')
  assert.equal(lines.length, 3)
})

test('a time that cannot be written is left out', async () => {
  await using api = await startApi()
  await createOrders(api)
  for (const timestampMs of [-1, 8e15]) {
    const batch = encodeBatch([{ key: null, value: null, headers: [], timestampMs }])
    await api.fetch(`${path}?partition=0`, post('application/octet-stream', batch))
  }
  assert.deepEqual(
    (await read(api)).records.map(({ timestamp }) => timestamp),
    [undefined, undefined],
  )
})

test('a long poll ends with the first record, with its time, or with the server', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  const waitingCount = countWaiting(api)
  const { nextCursor } = await read(api)
  const waiting = read(api, `?waitMs=50000&cursor=${nextCursor}`)
  await until(() => waitingCount() > 0)
  await fill(api, 1, { partition: 1 })
  assert.deepEqual(valuesOf(await waiting), ['v0'])
  const empty = await read(api, '?at=latest&waitMs=20')
  assert.deepEqual(empty.records, [])
  const last = read(api, '?at=latest&waitMs=50000')
  await until(() => waitingCount() > 0)
  const closing = api.server[Symbol.asyncDispose]()
  assert.deepEqual((await last).records, [])
  await closing
})

/** Counts the requests that wait for a partition of the topic as it is now. */
function countWaiting(api: TestApi): () => number {
  let count = 0
  for (const partition of api.agent.topics.get('orders').partitions) {
    const watch = partition.watch.bind(partition)
    partition.watch = (onAdvance) => {
      const watched = watch(onAdvance)
      count += 1
      return {
        [Symbol.dispose]() {
          count -= 1
          watched[Symbol.dispose]()
        },
      }
    }
  }
  return () => count
}

test('records that are gone are not passed over in silence', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  await fill(api, 10)
  await fill(api, 2, { partition: 1 })
  const { nextCursor } = await read(api, '?limit=4')
  await api.agent.deleteRecords({ topic: 'orders', partition: 0 }, 6)
  const refused = await refusal(api.fetch(`${path}?cursor=${nextCursor}`))
  assert.deepEqual([refused.status, refused.code], [416, 'OFFSET_OUT_OF_RANGE'])
  assert.deepEqual(refused.details?.['partitions'], [{ partition: 0, offset: 4, logStartOffset: 6, highWatermark: 10 }])
  const rest = await read(api, `?cursor=${String(refused.details['nextCursor'])}`)
  assert.deepEqual(
    valuesOf(rest)
      .map(String)
      .toSorted((a, b) => a.localeCompare(b)),
    ['v0', 'v1', 'v6', 'v7', 'v8', 'v9'],
  )
  assert.equal((await refusal(api.fetch(`${path}?partition=0&offset=11`))).code, 'OFFSET_OUT_OF_RANGE')
})

test('a reader of all partitions gets those that are added, from their start', async () => {
  await using api = await startApi()
  await createOrders(api)
  const { nextCursor } = await read(api, '?at=latest')
  const one = await read(api, '?partition=0')
  await api.call('PATCH', orders, { partitions: 2 })
  await fill(api, 1, { partition: 1 })
  assert.deepEqual(valuesOf(await read(api, `?cursor=${nextCursor}`)), ['v0'])
  assert.deepEqual(valuesOf(await read(api, `?cursor=${one.nextCursor}`)), [], 'but not a reader of one')
})

test('a cursor of a topic that was made again is refused', async () => {
  await using api = await startApi()
  await createOrders(api)
  const { nextCursor } = await read(api)
  await api.call('DELETE', orders)
  await createOrders(api)
  assert.match((await refusal(api.fetch(`${path}?cursor=${nextCursor}`))).message, /query\.cursor is no cursor of this topic/)
})

test('a group reads from where it has committed', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  await fill(api, 3)
  await fill(api, 3, { partition: 1, prefix: 'w' })
  await api.call('POST', '/api/v1/groups/g/offsets', { topic: 'orders', offsets: [{ partition: 0, offset: 2 }] })
  assert.deepEqual(valuesOf(await read(api, '?group=g')), ['v2', 'w0', 'w1', 'w2'])
  assert.deepEqual(valuesOf(await read(api, '?group=g&at=latest')), ['v2'])
  assert.deepEqual(valuesOf(await read(api, '?group=unknown&partition=0')), ['v0', 'v1', 'v2'])
})

test('record batches come as they are stored, with where to go on', async () => {
  await using api = await startApi()
  await createOrders(api)
  for (let round = 0; round < 3; round++) await fill(api, 5, { prefix: `${round}-` })
  const batches = 'application/vnd.kafka.recordbatch'
  const response = await api.fetch(`${path}?partition=0&offset=7`, { headers: { accept: batches } })
  assert.equal(response.headers.get('content-type'), batches)
  const marks = ['next-offset', 'high-watermark', 'log-start-offset'].map((name) => response.headers.get(`millrace-${name}`))
  assert.deepEqual(marks, ['15', '15', '0'])
  const records = splitBatches(Buffer.from(await response.arrayBuffer())).flatMap((batch) => decodeBatch(batch))
  assert.deepEqual([records[0]?.offset, records.at(-1)?.offset], [5, 14])
  const end = await api.fetch(`${path}?partition=0&offset=15&format=batch&waitMs=10`)
  assert.deepEqual([end.headers.get('millrace-next-offset'), (await end.arrayBuffer()).byteLength], ['15', 0])
})

test('lines end where the topic ended', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  for (let round = 0; round < 4; round++) await fill(api, 1000, { partition: round % 2 })
  const response = await api.fetch(path, { headers: { accept: 'application/x-ndjson' } })
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson')
  const lines = (await response.text()).split('\n')
  assert.deepEqual([lines.length, lines.at(-1)], [4001, ''])
  assert.partialDeepStrictEqual(JSON.parse(lines[0] ?? ''), { partition: 0, offset: 0, value: 'v0' })
  assert.equal((await (await api.fetch(`${path}?format=ndjson&limit=3`)).text()).split('\n').length, 4)
  assert.equal((await api.fetch(`${path}?format=ndjson&follow=true`, { method: 'HEAD' })).status, 200)
})

test('a follower gets what comes, until it goes', async () => {
  await using api = await startApi()
  await createOrders(api)
  const waitingCount = countWaiting(api)
  await fill(api, 1)
  const gone = new AbortController()
  const lines = follow(await api.fetch(`${path}?format=ndjson&follow=true`, { signal: gone.signal }))
  assert.equal(await lines.next(), 'v0')
  for (let round = 0; round < 3; round++) {
    await fill(api, 1, { prefix: `later ${round}-` })
    assert.equal(await lines.next(), `later ${round}-0`)
  }
  await until(() => waitingCount() === 1)
  gone.abort()
  await until(() => waitingCount() === 0, { what: 'the follower to be let go' })
})

test('a follower is told on the last line when its topic is deleted', async () => {
  await using api = await startApi()
  await createOrders(api)
  const waitingCount = countWaiting(api)
  const lines = follow(await api.fetch(`${path}?format=ndjson&follow=true`))
  await until(() => waitingCount() === 1)
  await api.call('DELETE', orders)
  assert.equal(await lines.next(), 'error TOPIC_NOT_FOUND')
  assert.equal(await lines.next(), undefined)
})

test('stopping the server ends followers in order', async () => {
  const api = await startApi()
  await createOrders(api)
  const waitingCount = countWaiting(api)
  const lines = follow(await api.fetch(`${path}?format=ndjson&follow=true`))
  await until(() => waitingCount() === 1)
  await api[Symbol.asyncDispose]()
  assert.equal(await lines.next(), undefined)
})

/** The values of the lines of an answer, one at a time; a last line with an error as `error CODE`. */
function follow(response: Response): { next(): Promise<string | undefined> } {
  assert.ok(response.body)
  const lines = createInterface({ input: Readable.fromWeb(response.body).on('error', () => undefined) })
  const texts: string[] = []
  let isEnded = false
  // The test goes away itself.
  lines.on('error', () => undefined)
  lines.on('line', (line) => line !== '' && texts.push(line))
  lines.once('close', () => (isEnded = true))
  return {
    async next() {
      await until(() => texts.length > 0 || isEnded, { what: 'a line' })
      const line: { value?: string; error?: { code: string } } = JSON.parse(texts.shift() ?? '{}')
      if (line.error) return `error ${line.error.code}`
      return line.value
    },
  }
}

test('what cannot be read is refused with its reason', async (t) => {
  await using api = await startApi()
  await createOrders(api, 2)
  for (const [query, code, message] of [
    ['?offset=1', 'REQUEST_INVALID', /^query\.partition is required with query\.offset/],
    ['?partition=0&offset=0&at=latest', 'REQUEST_INVALID', /^query\.offset excludes/],
    ['?partition=2', 'PARTITION_NOT_FOUND', /no partition 2/],
    ['?at=noon', 'REQUEST_INVALID', /^query\.at is neither/],
    ['?cursor=abc', 'REQUEST_INVALID', /^query\.cursor is no cursor/],
    ['?limit=0', 'REQUEST_INVALID', /^query\.limit/],
    ['?limit=10001', 'REQUEST_INVALID', /^query\.limit must be <= 10000/],
    ['?waitMs=60000', 'REQUEST_INVALID', /^query\.waitMs/],
    ['?format=xml', 'REQUEST_INVALID', /^query\.format must be one of/],
    ['?format=batch', 'REQUEST_INVALID', /^query\.partition is required for record batches/],
    ['?follow=true', 'REQUEST_INVALID', /^query\.follow is for/],
    ['?colour=red', 'REQUEST_INVALID', /^query\.colour is not a known field/],
  ] as const) {
    await t.test(query, async () => {
      const refused = await refusal(api.fetch(path + query))
      assert.equal(refused.code, code)
      assert.match(refused.message, message)
    })
  }
  assert.equal((await refusal(api.fetch('/api/v1/topics/nope/records'))).code, 'TOPIC_NOT_FOUND')
})
