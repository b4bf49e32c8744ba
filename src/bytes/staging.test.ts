import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Staging } from './staging.ts'

test('there are no more buffers than said, and who waits gets the next one that is free', async () => {
  const staging = new Staging({ sizeBytes: 4096, count: 2 })
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>())
  const seen: Buffer[] = []
  const order: number[] = []
  const users = gates.map((gate, i) =>
    staging.with(async (buffer) => {
      seen.push(buffer)
      order.push(i)
      await gate.promise
    }),
  )
  await Promise.resolve()
  assert.deepEqual(order, [0, 1])
  for (const gate of gates) gate.resolve()
  await Promise.all(users)
  assert.deepEqual(order, [0, 1, 2, 3, 4])
  assert.equal(new Set(seen).size, 2)
})

test('a buffer comes back from who failed with it', async () => {
  const staging = new Staging({ sizeBytes: 4096, count: 1 })
  await assert.rejects(
    staging.with(() => Promise.reject(new Error('refused'))),
    /refused/,
  )
  assert.equal(await staging.with(async (buffer) => buffer.length), 4096)
})
