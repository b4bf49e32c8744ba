import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteBudget } from './byte-budget.ts'

const never = (): AbortSignal => new AbortController().signal

test('the last one may exceed the limit; the next ones wait in their order', async () => {
  const budget = new ByteBudget(100)
  const order: string[] = []
  await budget.takeWhenFree(90, never)
  await budget.takeWhenFree(90, never)
  const waiting = ['a', 'b', 'c'].map(async (name) => {
    await budget.takeWhenFree(60, never)
    order.push(name)
  })
  budget.give(60)
  await Promise.resolve()
  assert.deepEqual([order, budget.usedBytes], [[], 120])
  budget.give(60)
  await Promise.all(waiting.slice(0, 1))
  assert.deepEqual([order, budget.usedBytes], [['a'], 120])
  budget.give(120)
  await Promise.all(waiting)
  assert.deepEqual([order, budget.usedBytes], [['a', 'b', 'c'], 120])
})

test('who gives up waits no more, and takes nothing', async () => {
  const budget = new ByteBudget(10)
  budget.take(10)
  const controller = new AbortController()
  const first = budget.takeWhenFree(5, () => controller.signal)
  const second = budget.takeWhenFree(7, never)
  controller.abort(new Error('gone'))
  await assert.rejects(first, /gone/)
  await assert.rejects(
    budget.takeWhenFree(1, () => controller.signal),
    /gone/,
  )
  budget.give(10)
  await second
  assert.equal(budget.usedBytes, 7)
})
