import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { ManualTimers } from '#lib/timers.ts'
import { WaitingClaims, type Ask } from './waiting-claims.ts'

/** Work that may be there or not, and who asked for it. */
class Work {
  readonly asked: string[] = []
  readonly clock = new ManualClock()
  readonly timers = new ManualTimers(this.clock)
  readonly waiting: WaitingClaims
  available = 0

  constructor(options: { maxAsks?: number; maxWaiting?: number } = {}) {
    this.waiting = new WaitingClaims({ clock: this.clock, timers: this.timers, ...options })
  }

  claim(name: string, { waitMs = 1000, signal = new AbortController().signal, isBarred = false } = {}): Promise<string> {
    const ask: Ask<string> = async () => {
      this.asked.push(name)
      if (this.available === 0 || isBarred) return { answer: `${name}: nothing`, taken: 0, isFinal: false }
      this.available -= 1
      return { answer: `${name}: task`, taken: 1, isFinal: false }
    }
    return this.waiting.claim(ask, { waitMs, signal })
  }

  /** New work, with its hint. */
  async add(count: number): Promise<void> {
    this.available += count
    this.waiting.hint(count)
    await this.settle()
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await this.timers.advance(0)
  }
}

test('who finds work is answered at once, who finds none when the time is over', async () => {
  const work = new Work()
  work.available = 1
  assert.equal(await work.claim('a'), 'a: task')
  const late = work.claim('b')
  await work.timers.advance(1000)
  assert.equal(await late, 'b: nothing')
  assert.equal(work.waiting.waiting, 0)
})

test('one task lets one ask: who has waited longest', async () => {
  const work = new Work()
  const claims = ['a', 'b', 'c'].map((name) => work.claim(name))
  await work.settle()
  work.asked.length = 0
  await work.add(1)
  assert.deepEqual(work.asked, ['a'])
  assert.equal(await claims[0], 'a: task')
  await work.add(2)
  assert.deepEqual(work.asked, ['a', 'b', 'c'])
})

test('who asked in vain passes the turn on, and when all have asked nobody asks any more', async () => {
  const work = new Work()
  for (const name of ['a', 'b', 'c']) void work.claim(name, { isBarred: name !== 'c' })
  await work.settle()
  work.asked.length = 0
  await work.add(2)
  assert.deepEqual(work.asked, ['a', 'b', 'c'])
  assert.equal(work.waiting.waiting, 2)
  assert.equal(work.available, 1)
})

test('a hint that is no promise makes only some ask, and others the next time', async () => {
  const work = new Work()
  for (const name of ['a', 'b', 'c', 'd']) void work.claim(name)
  await work.settle()
  work.asked.length = 0
  work.waiting.hint(9, { maxAsks: 2 })
  await work.settle()
  assert.deepEqual(work.asked, ['a', 'b'])
  work.waiting.hint(9, { maxAsks: 2 })
  await work.settle()
  assert.deepEqual(work.asked, ['a', 'b', 'c', 'd'])
})

test('what becomes ready while somebody asks is not missed', async () => {
  const work = new Work()
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  let asks = 0
  const ask: Ask<string> = async () => {
    asks += 1
    if (asks === 1) await held
    return asks === 1 ? { answer: 'nothing', taken: 0, isFinal: false } : { answer: 'task', taken: 1, isFinal: false }
  }
  const claim = work.waiting.claim(ask, { waitMs: 1000, signal: new AbortController().signal })
  await work.add(1)
  // Nobody waits yet, so nobody can be told.
  letGo()
  await work.settle()
  work.waiting.hint(1)
  assert.equal(await claim, 'task')
})

test('a claim that fails leaves its turn to the next', async () => {
  const work = new Work({ maxAsks: 1 })
  let asks = 0
  const failing: Ask<string> = async () => {
    asks += 1
    if (asks > 1) throw new AppError('DATABASE_UNAVAILABLE', 'away')
    return { answer: '', taken: 0, isFinal: false }
  }
  const broken = work.waiting.claim(failing, { waitMs: 1000, signal: new AbortController().signal })
  const refused = assert.rejects(broken, AppError)
  const other = work.claim('b')
  await work.settle()
  await work.add(1)
  await refused
  assert.equal(await other, 'b: task')
})

test('who goes away waits no longer', async () => {
  const work = new Work()
  const gone = new AbortController()
  const claim = work.claim('a', { signal: gone.signal })
  await work.settle()
  gone.abort()
  assert.equal(await claim, 'a: nothing')
  assert.equal(work.timers.pending, 0)
  const other = work.claim('b')
  await work.settle()
  await work.add(1)
  assert.equal(await other, 'b: task')
})

test('too many that wait are refused, and all are answered at the end', async () => {
  const work = new Work({ maxWaiting: 1 })
  const first = work.claim('a')
  await work.settle()
  await assert.rejects(work.claim('b'), (error) => error instanceof AppError && error.code === 'CLIENT_LIMIT')
  work.waiting.close()
  assert.equal(await first, 'a: nothing')
})

test('of many who come at once a few ask at a time, and all are answered', async () => {
  const clock = new ManualClock()
  const waiting = new WaitingClaims({ clock, timers: new ManualTimers(clock), maxAsks: 2 })
  let asking = 0
  let most = 0
  const ask: Ask<boolean> = async () => {
    asking += 1
    most = Math.max(most, asking)
    await new Promise((resolve) => setImmediate(resolve))
    asking -= 1
    return { answer: true, taken: 0, isFinal: true }
  }
  const options = { waitMs: 0, signal: new AbortController().signal }
  const failing: Ask<boolean> = () => Promise.reject(new Error('away'))
  const claims = [ask, failing, ask, ask, failing, ask, ask].map((one) => waiting.claim(one, options))
  const results = await Promise.allSettled(claims)
  assert.deepEqual([results.filter(({ status }) => status === 'fulfilled').length, most], [5, 2])
})
