import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Queue } from './queue.ts'

async function taken<T>(queue: Queue<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of queue) items.push(item)
  return items
}

test('a full queue drops the oldest and counts it', async () => {
  const queue = new Queue<number>({ capacity: 2, whenFull: 'drop-oldest' })
  for (const item of [1, 2, 3]) queue.push(item)
  queue.close()
  assert.deepEqual(await taken(queue), [2, 3])
  assert.equal(queue.dropped, 1)
})

test('a full queue drops the newest when told so', async () => {
  const queue = new Queue<number>({ capacity: 2, whenFull: 'drop-newest' })
  for (const item of [1, 2, 3]) queue.push(item)
  queue.close()
  assert.deepEqual(await taken(queue), [1, 2])
})

test('a waiting consumer gets what is pushed later', async () => {
  const queue = new Queue<number>({ capacity: 2, whenFull: 'drop-oldest' })
  const all = taken(queue)
  await Promise.resolve()
  queue.push(7)
  queue.close()
  assert.deepEqual(await all, [7])
})
