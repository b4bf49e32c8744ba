import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { ByteBudget } from './byte-budget.ts'
import { FetchOrder } from './fetch-order.ts'
import { Limiter } from './limiter.ts'
import { OnceAMinute } from './once-a-minute.ts'

test('a limiter lets a few run and a few wait, and refuses the others', async () => {
  const limiter = new Limiter({ concurrency: 2, maxWaiting: 1 })
  const gates = Array.from({ length: 3 }, () => Promise.withResolvers<number>())
  const begun: number[] = []
  const run = (index: number) =>
    limiter.run(async () => {
      begun.push(index)
      return (await gates[index]?.promise) ?? -1
    })
  const running = [run(0), run(1), run(2)]
  await assert.rejects(run(3), { code: 'LIMIT_EXCEEDED' })
  assert.deepEqual(begun, [0, 1])
  gates[1]?.reject(new Error('for the test'))
  await assert.rejects(running[1] ?? Promise.resolve(), /for the test/)
  gates[0]?.resolve(0)
  gates[2]?.resolve(2)
  assert.deepEqual([await running[0], await running[2], begun], [0, 2, [0, 1, 2]])
})

test('a byte budget calls back once, when bytes are free again', () => {
  const budget = new ByteBudget(100)
  let calls = 0
  const resume = (): void => void (calls += 1)
  budget.take(150)
  budget.whenFree(resume)
  budget.whenFree(resume)
  budget.give(50)
  assert.deepEqual([budget.freeBytes, calls], [0, 0])
  budget.give(50)
  budget.give(50)
  assert.deepEqual([budget.freeBytes, budget.usedBytes, calls], [100, 0, 1])
  budget.take(100)
  budget.whenFree(resume)
  budget.forget(resume)
  budget.give(100)
  assert.equal(calls, 1)
})

test('complaints are told once a minute for each key, with how many there were', () => {
  const clock = new ManualClock()
  const complaints = new OnceAMinute({ clock })
  const counts = ['a', 'a', 'b', 'a'].map((key) => complaints.count(key))
  assert.deepEqual(counts, [1, undefined, 1, undefined])
  clock.advance(60_000)
  assert.deepEqual([complaints.count('a'), complaints.count('b'), complaints.count('a')], [3, 1, undefined])
})

test('partitions that filled an answer come last, until an answer is not full', () => {
  const order = new FetchOrder()
  const itself = (item: string): string => item
  const note = (items: readonly string[], isFull: boolean, ...filled: string[]) =>
    order.note(items, itself, { isFull, hasData: (item) => filled.includes(item) })
  const asked = ['a', 'b', 'c', 'd']
  note(asked, true, 'a', 'b')
  assert.deepEqual(order.arrange(asked, itself), ['c', 'd', 'a', 'b'])
  note(order.arrange(asked, itself), true, 'c')
  assert.deepEqual(order.arrange(asked, itself), ['d', 'a', 'b', 'c'])
  assert.deepEqual(order.arrange(['c', 'b', 'e'], itself), ['e', 'b', 'c'])
  note(asked, false, 'd')
  assert.deepEqual(order.arrange(asked, itself), asked)
})
