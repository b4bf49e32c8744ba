import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { startApi } from './api.fixture.ts'
import { RequestLimiter } from './request-limiter.ts'

/** An API where each client has two requests, and the clock stands still. */
async function startLimited({ access }: Pick<NonNullable<Parameters<typeof startApi>[0]>, 'access'> = {}) {
  const clock = new ManualClock()
  const counted = { limited: 0 }
  const limiter = new RequestLimiter({ requestsPerSecond: 0.5, burst: 2, clock })
  const observer = { observe: () => {}, countLimited: () => void (counted.limited += 1) }
  return { api: await startApi({ limiter, observer, ...(access && { access }) }), clock, counted }
}

test('who sends too many is refused with when to go on, and which setting it is', async () => {
  const { api, clock, counted } = await startLimited()
  await using _ = api
  for (const path of ['/api/v1/streams', '/api/v1/status']) assert.equal((await api.call('GET', path)).status, 200)
  const { status, headers, body } = await api.call('GET', '/api/v1/streams')
  assert.deepEqual([status, headers.get('retry-after'), counted.limited], [429, '2', 1])
  assert.deepEqual(body, {
    code: 'RATE_LIMITED',
    message:
      '127.0.0.1 sends more than 0.5 requests a second, after 2 at once; send fewer, or raise api.requestsPerSecond and api.requestBurst',
    details: { retryAfterSeconds: 2 },
  })
  clock.advance(2000)
  assert.equal((await api.call('GET', '/api/v1/streams')).status, 200)
})

test('health, pages, media, records and WebSockets do not count', async () => {
  const { api } = await startLimited()
  await using _ = api
  await api.call('POST', '/api/v1/topics', { name: 'orders', partitions: 1 })
  const record = { records: [{ value: 'x' }] }
  for (let round = 0; round < 3; round++) {
    for (const path of ['/health', '/live', '/api', '/api/v1/recordings/x/media.mp4', '/api/v1/streams/x/playback.m3u8'])
      assert.notEqual((await api.fetch(path)).status, 429, path)
    assert.equal((await api.call('POST', '/api/v1/topics/orders/records', record)).status, 200)
    assert.equal((await api.call('GET', '/api/v1/topics/orders/records')).status, 200)
    const socket = new WebSocket(`${api.server.url.replace('http', 'ws')}/api/v1/events`)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', reject)
    })
    socket.close()
  }
  assert.equal((await api.call('GET', '/api/v1/status')).status, 200)
  assert.equal((await api.call('GET', '/api/v1/status')).status, 429)
})

test('users do not take from each other, and wrong credentials count for the address', async () => {
  const check = ({ authorization = '' }: { authorization?: string }): string => {
    if (authorization === 'Bearer wrong' || authorization === '') throw new AppError('UNAUTHORIZED', 'who are you?')
    return authorization
  }
  const { api } = await startLimited({ access: { check } })
  await using _ = api
  const statuses = async (authorization: string | undefined): Promise<number[]> => {
    const found: number[] = []
    const headers = authorization === undefined ? {} : { authorization }
    for (let n = 0; n < 3; n++) found.push((await api.fetch('/api/v1/status', { headers })).status)
    return found
  }
  assert.deepEqual(await statuses('Bearer ann'), [200, 200, 429])
  assert.deepEqual(await statuses('Bearer bob'), [200, 200, 429])
  assert.deepEqual(await statuses(undefined), [401, 401, 401])
  assert.deepEqual(await statuses('Bearer wrong'), [401, 401, 429])
})
