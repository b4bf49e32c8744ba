import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from './backoff.ts'

test('waits double up to the cap, and begin anew after a reset', () => {
  const backoff = new Backoff({ firstMs: 100, maxMs: 500, random: () => 1 })
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => backoff.nextMs()),
    [100, 200, 400, 500, 500],
  )
  backoff.reset()
  assert.equal(backoff.nextMs(), 100)
})

test('jitter takes away up to half', () => {
  const backoff = new Backoff({ firstMs: 100, maxMs: 500, random: () => 0 })
  assert.equal(backoff.nextMs(), 50)
})
