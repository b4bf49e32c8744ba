import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './clock.ts'
import { ManualTimers } from './timers.ts'

test('manual timers run in the order of their times, each at its own time', async () => {
  const clock = new ManualClock(0)
  const timers = new ManualTimers(clock)
  const ran: [string, number][] = []
  const note = (name: string) => () => void ran.push([name, clock.nowMs()])
  timers.after(20, note('late'))
  timers.after(10, note('first'))
  timers.after(10, note('second'))
  const cancelled = timers.after(5, note('never'))
  cancelled[Symbol.dispose]()
  await timers.advance(15)
  assert.deepEqual(ran, [
    ['first', 10],
    ['second', 10],
  ])
  assert.equal(clock.nowMs(), 15)
  assert.equal(timers.pending, 1)
  await timers.advance(5)
  assert.deepEqual(ran.at(-1), ['late', 20])
})

test('what a manual timer sets off settles before the next one runs', async () => {
  const clock = new ManualClock(0)
  const timers = new ManualTimers(clock)
  const ran: string[] = []
  timers.after(1, () => {
    void (async () => {
      await Promise.resolve()
      ran.push('follows')
      timers.after(0, () => void ran.push('set by it'))
    })()
  })
  timers.after(2, () => void ran.push('next'))
  await timers.advance(2)
  assert.deepEqual(ran, ['follows', 'set by it', 'next'])
  assert.equal(timers.pending, 0)
})
