import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Slabs } from './slabs.ts'

test('pieces have their size and do not overlap', () => {
  const slabs = new Slabs(1000)
  const pieces = [100, 250, 7, 250, 250, 250, 0, 400, 900].map((sizeBytes, i) => slabs.take(sizeBytes).fill(i))
  for (const [i, piece] of pieces.entries()) assert.ok(piece.every((byte) => byte === i))
  assert.deepEqual(
    pieces.map(({ length }) => length),
    [100, 250, 7, 250, 250, 250, 0, 400, 900],
  )
})

test('small pieces share a slab, large ones have their own', () => {
  const slabs = new Slabs(1000)
  assert.equal(slabs.take(100).buffer, slabs.take(100).buffer)
  assert.notEqual(slabs.take(300).buffer, slabs.take(100).buffer)
})
