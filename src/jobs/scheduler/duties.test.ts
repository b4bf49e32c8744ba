import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { ManualTimers } from '#lib/timers.ts'
import { Duties } from './duties.ts'
import { silentLog } from './scheduler.fixture.ts'

/** The table of duties, with the time of the test. */
class Table {
  readonly #clock: ManualClock
  #row: { holder: string; expiresAtMs: number; term: number } | undefined
  isAway = false

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  async takeDuty({ holder, ttlMs }: { holder: string; ttlMs: number }): Promise<number | undefined> {
    if (this.isAway) throw new AppError('DATABASE_UNAVAILABLE', 'away')
    const now = this.#clock.nowMs()
    if (this.#row && this.#row.holder !== holder && this.#row.expiresAtMs > now) return undefined
    const term = (this.#row?.term ?? 0) + (this.#row?.holder === holder ? 0 : 1)
    this.#row = { holder, expiresAtMs: now + ttlMs, term }
    return term
  }
}

function open(names: readonly string[]) {
  const clock = new ManualClock()
  const timers = new ManualTimers(clock)
  const store = new Table(clock)
  const runs: string[] = []
  const nodes = names.map((holder) => {
    const run = async () => void runs.push(holder)
    return new Duties({ duties: [{ name: 'sweep', everyMs: 2000, run }], store, holder, timers, clock, log: silentLog })
  })
  for (const node of nodes) node.start()
  return { timers, store, runs, nodes }
}

test('one node does a duty, in its rhythm', async () => {
  const { timers, runs, nodes } = open(['a', 'b'])
  await timers.advance(4000)
  assert.deepEqual(runs, ['a', 'a', 'a'])
  assert.deepEqual(
    nodes.map(({ held }) => held),
    [['sweep'], []],
  )
})

test('when the holder is gone another takes over', async () => {
  const { timers, runs, nodes } = open(['a', 'b'])
  await timers.advance(0)
  await nodes[0]?.[Symbol.asyncDispose]()
  await timers.advance(8000)
  assert.deepEqual(new Set(runs), new Set(['a', 'b']))
})

test('while the database is away duties wait, and go on when it is back', async () => {
  const { timers, store, runs, nodes } = open(['a'])
  await timers.advance(0)
  store.isAway = true
  await timers.advance(10_000)
  assert.deepEqual([runs.length, nodes[0]?.held], [1, []])
  store.isAway = false
  await timers.advance(2000)
  assert.equal(runs.length, 2)
})
