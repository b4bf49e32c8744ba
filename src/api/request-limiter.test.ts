import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { RequestLimiter } from './request-limiter.ts'

function takeUntilEmpty(limiter: RequestLimiter, client: string): number {
  for (let count = 0; ; count++) if (limiter.take(client).kind === 'empty') return count
}

test('a client has its burst at once, and then its rate', () => {
  const clock = new ManualClock()
  const limiter = new RequestLimiter({ requestsPerSecond: 100, burst: 200, clock })
  assert.equal(takeUntilEmpty(limiter, 'a'), 200)
  clock.advance(1000)
  assert.equal(takeUntilEmpty(limiter, 'a'), 100)
  clock.advance(3_600_000)
  assert.equal(takeUntilEmpty(limiter, 'a'), 200)
})

test('clients do not take from each other', () => {
  const limiter = new RequestLimiter({ requestsPerSecond: 1, burst: 3, clock: new ManualClock() })
  takeUntilEmpty(limiter, 'a')
  assert.equal(takeUntilEmpty(limiter, 'b'), 3)
})

test('an empty bucket says when to come back, and then has one', () => {
  const clock = new ManualClock()
  const limiter = new RequestLimiter({ requestsPerSecond: 4, burst: 1, clock })
  takeUntilEmpty(limiter, 'a')
  clock.advance(100)
  const refused = limiter.take('a')
  assert.deepEqual(refused, { kind: 'empty', retryAfterMs: 150 })
  clock.advance(149)
  assert.equal(limiter.take('a').kind, 'empty')
  clock.advance(1)
  assert.equal(limiter.take('a').kind, 'taken')
})

test('a rate below one a second adds up', () => {
  const clock = new ManualClock()
  const limiter = new RequestLimiter({ requestsPerSecond: 0.5, burst: 1, clock })
  takeUntilEmpty(limiter, 'a')
  clock.advance(2000)
  assert.equal(takeUntilEmpty(limiter, 'a'), 1)
})

test('only so many clients are remembered; the one that asked longest ago is forgotten', () => {
  const limiter = new RequestLimiter({ requestsPerSecond: 1, burst: 2, maxClients: 2, clock: new ManualClock() })
  takeUntilEmpty(limiter, 'a')
  takeUntilEmpty(limiter, 'b')
  limiter.take('a')
  limiter.take('c')
  assert.equal(limiter.clientCount, 2)
  assert.equal(limiter.take('a').kind, 'empty')
  assert.equal(takeUntilEmpty(limiter, 'b'), 2)
})
