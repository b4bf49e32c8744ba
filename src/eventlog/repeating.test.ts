import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { ManualTimers } from '#lib/timers.ts'
import { Repeating } from './repeating.ts'

test('work is repeated as long after its end as it says, never twice at once', async () => {
  const timers = new ManualTimers(new ManualClock())
  const started: PromiseWithResolvers<number>[] = []
  await using repeating = new Repeating({
    timers,
    firstDelayMs: 100,
    work: () => {
      const next = Promise.withResolvers<number>()
      started.push(next)
      return next.promise
    },
  })
  await timers.advance(99)
  assert.equal(started.length, 0)
  await timers.advance(1)
  assert.equal(started.length, 1)
  await timers.advance(100_000)
  assert.equal(started.length, 1)
  started[0]?.resolve(50)
  await timers.advance(49)
  assert.equal(started.length, 1)
  await timers.advance(1)
  assert.equal(started.length, 2)
  started[1]?.resolve(1)
  await repeating[Symbol.asyncDispose]()
  await timers.advance(100_000)
  assert.deepEqual([started.length, timers.pending], [2, 0])
})

test('its end waits for the work, which is told', async () => {
  const timers = new ManualTimers(new ManualClock())
  let signal: AbortSignal | undefined
  const work = Promise.withResolvers<number>()
  const repeating = new Repeating({
    timers,
    firstDelayMs: 0,
    work: (given) => {
      signal = given
      return work.promise
    },
  })
  await timers.advance(0)
  let hasEnded = false
  const ended = repeating[Symbol.asyncDispose]().then(() => (hasEnded = true))
  await timers.advance(1000)
  assert.deepEqual([signal?.aborted, hasEnded], [true, false])
  work.resolve(1)
  await ended
  assert.equal(timers.pending, 0)
})
