import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Permits } from './permits.ts'

test('permits go to those who wait, in their order, and too many are refused', async () => {
  const permits = new Permits({ count: 2, maxWaiting: 2 })
  const order: string[] = []
  const first = await permits.acquire()
  const second = await permits.acquire()
  const third = permits.acquire().then((permit) => (order.push('third'), permit))
  const fourth = permits.acquire().then((permit) => (order.push('fourth'), permit))
  await assert.rejects(permits.acquire(), { code: 'LOG_UNAVAILABLE' })
  assert.deepEqual([permits.free, permits.waiting], [0, 2])
  second[Symbol.dispose]()
  ;(await third)[Symbol.dispose]()
  ;(await fourth)[Symbol.dispose]()
  assert.deepEqual(order, ['third', 'fourth'])
  first[Symbol.dispose]()
  assert.deepEqual([permits.free, permits.waiting], [2, 0])
})
