import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { WebSocket } from 'ws'
import { until } from '../../../test/support/until.ts'
import { startApi, type TestApi } from '../api.fixture.ts'
import { eventListSchema, type EventMessage, eventMessageSchema } from '../contract.ts'

async function append(
  { history }: TestApi,
  count: number,
  { type = 'stream.online', subject = 'lobby', bytes = 0 } = {},
): Promise<void> {
  const events = Array.from({ length: count }, (_, i) => ({ type, subject, data: { i, fill: 'x'.repeat(bytes) } }))
  await history.append(...events)
}

/** A follower: what it got, and how it ended. */
class Follower implements AsyncDisposable {
  readonly socket: WebSocket
  readonly messages: EventMessage[] = []
  closed: { code: number; reason: string } | undefined

  constructor(api: TestApi, query = '', headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`${api.server.url.replace('http', 'ws')}/api/v1/events${query}`, { headers })
    this.socket.on('message', (data: Buffer) => this.messages.push(Value.Parse(eventMessageSchema, JSON.parse(data.toString()))))
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
    })
  }
  async opened(): Promise<this> {
    await once(this.socket, 'open')
    return this
  }
  async received(count: number): Promise<EventMessage[]> {
    await until(() => this.messages.length >= count, { what: `${count} messages` })
    return this.messages.slice(0, count)
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate()
    await until(() => this.closed, { what: 'closed' })
  }
}

async function page(api: TestApi, query: string) {
  return Value.Parse(eventListSchema, (await api.call('GET', `/api/v1/events${query}`)).body)
}

test('the history is paged onward from a place, and from its newest end without one', async () => {
  await using api = await startApi()
  await append(api, 5)
  const { oldestSequence, nextSequence } = api.history
  assert.equal(nextSequence - oldestSequence, 5)
  const first = await page(api, '?from=0&limit=2')
  assert.deepEqual(
    [first.items.map(({ data }) => data['i']), first.oldestSequence, first.nextSequence],
    [[0, 1], oldestSequence, nextSequence],
  )
  const second = await page(api, `?limit=10&cursor=${first.nextCursor}`)
  assert.deepEqual([second.items.map(({ data }) => data['i']), second.nextCursor], [[2, 3, 4], undefined])
  assert.deepEqual(
    (await page(api, '?limit=2')).items.map(({ data }) => data['i']),
    [3, 4],
  )
  assert.deepEqual((await page(api, `?from=${nextSequence}`)).items, [])
})

test('the history is narrowed down by type and subject', async () => {
  await using api = await startApi()
  await append(api, 2)
  await append(api, 2, { type: 'stream.offline', subject: 'gate' })
  await append(api, 2, { type: 'recording.started', subject: 'gate' })
  for (const [query, count] of [
    ['?type=stream.*', 4],
    ['?type=stream.online,recording.started', 4],
    ['?type=stream.online', 2],
    ['?type=stream', 0],
    ['?subject=gate', 4],
    ['?subject=gate&type=recording.*', 2],
    ['?from=0&subject=gate&limit=3', 3],
    ['?subject=gate&limit=1', 1],
  ] as const) {
    assert.equal((await page(api, query)).items.length, count, query)
  }
  const first = await page(api, '?from=0&subject=gate&limit=3')
  assert.deepEqual(
    (await page(api, `?subject=gate&cursor=${first.nextCursor}`)).items.map(({ data }) => data['i']),
    [1],
  )
})

test('a follower gets the kept history from its place, then what happens', async () => {
  await using api = await startApi()
  await append(api, 3)
  await using follower = new Follower(api, `?from=${api.history.oldestSequence + 1}`)
  await follower.received(2)
  await append(api, 1, { type: 'stream.offline' })
  assert.deepEqual(
    (await follower.received(3)).map(({ type, data }) => [type, data['i']]),
    [
      ['stream.online', 1],
      ['stream.online', 2],
      ['stream.offline', 0],
    ],
  )
})

test('a follower without a place gets only what happens from now, narrowed down', async () => {
  await using api = await startApi()
  await append(api, 3)
  await using follower = await new Follower(api, '?type=recording.*&subject=gate').opened()
  await append(api, 1, { type: 'recording.started', subject: 'lobby' })
  await append(api, 1, { type: 'stream.online', subject: 'gate' })
  await append(api, 1, { type: 'recording.stopped', subject: 'gate' })
  assert.deepEqual(
    (await follower.received(1)).map(({ type }) => type),
    ['recording.stopped'],
  )
})

for (const [name, from] of [
  ['too old', 1],
  ['never given out', 9e14],
] as const) {
  test(`a place that is ${name} starts at the oldest kept and says so first`, async () => {
    await using api = await startApi()
    await append(api, 5)
    await api.history.deleteBefore(3)
    await using follower = new Follower(api, `?from=${from}&type=stream.*`)
    const [first, second] = await follower.received(2)
    const { oldestSequence } = api.history
    assert.partialDeepStrictEqual(first, {
      type: 'history.truncated',
      sequence: oldestSequence - 1,
      data: { from, oldestSequence },
    })
    assert.equal(second?.sequence, oldestSequence)
  })
}

test('a client that takes nothing is closed with 1013 and costs little memory; others go on', async () => {
  const socketLimits = { pingMs: 30_000, maxBufferedBytes: 10_000, slowMs: 1000 }
  await using api = await startApi({ records: { socketLimits } })
  await using slow = await new Follower(api).opened()
  await using quick = await new Follower(api).opened()
  slow.socket.pause()
  for (let sent = 0; sent < 500; sent += 20) await append(api, 20, { bytes: 50_000 })
  await quick.received(500)
  await until(() => api.logged.some(({ msg }) => msg === 'event follower was too slow'), { what: 'slow client let go' })
  slow.socket.resume()
  await until(() => slow.closed, { what: 'slow client closed' })
  assert.deepEqual(slow.closed, { code: 1013, reason: 'too slow: nothing taken for 1000 ms; resume after your last event' })
  assert.ok(slow.messages.length < 500)
})

test('a client that does not answer pings is dropped', async () => {
  const socketLimits = { pingMs: 50, maxBufferedBytes: 10_000, slowMs: 10_000 }
  await using api = await startApi({ records: { socketLimits } })
  await using silent = new Follower(api)
  await silent.opened()
  silent.socket.pong = () => undefined
  await until(() => silent.closed, { what: 'silent client dropped' })
  assert.equal(silent.closed?.code, 1006)
})

test('stopping the server tells followers to come back', async () => {
  const api = await startApi()
  const follower = await new Follower(api).opened()
  await api[Symbol.asyncDispose]()
  await until(() => follower.closed)
  assert.equal(follower.closed?.code, 1001)
})

test('a bad query and a page of another origin are refused before the upgrade', async () => {
  await using api = await startApi()
  for (const [query, headers, status] of [
    ['?from=x', {}, 400],
    ['', { origin: 'https://elsewhere.example' }, 403],
  ] as const) {
    const socket = new WebSocket(`${api.server.url.replace('http', 'ws')}/api/v1/events${query}`, { headers })
    const [, response] = await once(socket, 'unexpected-response')
    assert.equal(response.statusCode, status)
    response.resume()
    socket.on('error', () => undefined)
    socket.terminate()
  }
})
