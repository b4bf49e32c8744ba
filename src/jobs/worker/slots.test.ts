import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Slots, slotsFor } from './slots.ts'

test('slots are given back once', () => {
  const slots = new Slots(3)
  const taken = slots.take(2)
  assert.equal(slots.free, 1)
  taken[Symbol.dispose]()
  taken[Symbol.dispose]()
  assert.deepEqual([slots.free, slots.used], [3, 0])
})

test('a worker that was given too much has no free slot', () => {
  const slots = new Slots(1)
  slots.take(4)
  assert.deepEqual([slots.free, slots.used], [0, 4])
})

test('who waits for a slot goes on when one is free or the signal fires', async () => {
  const slots = new Slots(1)
  const taken = slots.take(1)
  const abort = new AbortController()
  const waits = [slots.whenFree(new AbortController().signal), slots.whenFree(abort.signal)]
  abort.abort()
  await waits[1]
  taken[Symbol.dispose]()
  await waits[0]
})

test('there is a slot for each core, and at least one', () => {
  assert.deepEqual([0.5, 1, 8].map(slotsFor), [1, 1, 8])
})
