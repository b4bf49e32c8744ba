import assert from 'node:assert/strict'
import { test } from 'node:test'
import { afterAttempt } from './attempt-end.ts'

const policy = { maxAttempts: 3, maxLost: 2, retryFirstMs: 1000, retryMaxMs: 3000 }
const first = { taskId: 5, fence: 1, attempt: 1, lostCount: 0, isBlocked: false, isLive: false, frames: 10 }

test('only faults count as attempts, and only lost workers as losses', () => {
  const counted = (['transient', 'stale', 'lost', 'released', 'input', 'terminal', 'canceled'] as const).map((outcome) => {
    const { state, attempt, lostCount } = afterAttempt(first, outcome, policy)
    return [outcome, state, attempt, lostCount]
  })
  assert.deepEqual(counted, [
    ['transient', 'ready', 1, 0],
    ['stale', 'ready', 1, 0],
    ['lost', 'ready', 0, 1],
    ['released', 'ready', 0, 0],
    ['input', 'ready', 0, 0],
    ['terminal', 'failed', 1, 0],
    ['canceled', 'canceled', 1, 0],
  ])
})

test('the last attempt and the last loss fail the task', () => {
  assert.equal(afterAttempt({ ...first, attempt: 3 }, 'transient', policy).state, 'failed')
  assert.equal(afterAttempt({ ...first, attempt: 3 }, 'stale', policy).state, 'failed')
  assert.equal(afterAttempt({ ...first, attempt: 3 }, 'lost', policy).state, 'ready')
  assert.equal(afterAttempt({ ...first, lostCount: 1 }, 'lost', policy).state, 'failed')
})

test('a live stream is tried for as long as it takes, and one that had a picture begins to count anew', () => {
  const dark = { ...first, isLive: true, frames: 0, attempt: 50 }
  assert.equal(afterAttempt(dark, 'transient', policy).state, 'ready')
  assert.equal(afterAttempt(dark, 'stale', policy).attempt, 50)
  const shown = afterAttempt({ ...dark, frames: 500, lostCount: 1 }, 'transient', policy)
  assert.deepEqual([shown.state, shown.attempt, shown.lostCount], ['ready', 1, 0])
  assert.ok(shown.delayMs <= policy.retryFirstMs * 1.2)
  assert.equal(afterAttempt({ ...dark, frames: 500, lostCount: 1 }, 'lost', policy).state, 'ready')
  assert.equal(afterAttempt({ ...dark, lostCount: 1 }, 'lost', policy).state, 'failed', 'what kills workers has no picture')
  assert.equal(afterAttempt(dark, 'terminal', policy).state, 'failed')
})

test('a task that waits for others again is blocked', () => {
  assert.equal(afterAttempt({ ...first, isBlocked: true }, 'input', policy).state, 'blocked')
  assert.equal(afterAttempt({ ...first, isBlocked: true }, 'released', policy).state, 'blocked')
})

test('only faults wait: twice as long each time, up to the limit, spread by a fifth', () => {
  const many = { ...policy, maxAttempts: 100 }
  for (const [attempt, delayMs] of [
    [1, 1000],
    [2, 2000],
    [3, 3000],
    [60, 3000],
  ] as const) {
    const delays = Array.from(
      { length: 200 },
      (_, taskId) => afterAttempt({ ...first, taskId, attempt }, 'transient', many).delayMs,
    )
    assert(delays.every((one) => one >= delayMs * 0.8 && one <= delayMs * 1.2))
    assert(new Set(delays).size > 100)
  }
  for (const outcome of ['lost', 'released', 'input', 'canceled'] as const)
    assert.equal(afterAttempt(first, outcome, policy).delayMs, 0)
})
