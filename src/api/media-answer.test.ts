import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseRange } from './media-answer.ts'

for (const [header, sizeBytes, range] of [
  ['bytes=0-0', 10, { start: 0, end: 1 }],
  ['bytes=2-', 10, { start: 2, end: 10 }],
  ['bytes= 2-3 ', 10, { start: 2, end: 4 }],
  ['bytes=-3', 10, { start: 7, end: 10 }],
  ['bytes=-30', 10, { start: 0, end: 10 }],
  ['bytes=5-100', 10, { start: 5, end: 10 }],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=3-2', 10, undefined],
  ['bytes=-', 10, undefined],
  ['bytes=0-1,2-3', 10, undefined],
  ['lines=0-1', 10, undefined],
  ['bytes=99999999999999999999-', 10, undefined],
  ['', 10, undefined],
] as const) {
  test(`"${header}" of ${sizeBytes} bytes`, () => {
    assert.deepEqual(parseRange(header, sizeBytes), range)
  })
}

test('a range is never empty, and never outside', () => {
  const number = fc.oneof(fc.constant(''), fc.nat().map(String), fc.string({ maxLength: 3 }))
  fc.assert(
    fc.property(number, number, fc.nat(), (first, last, sizeBytes) => {
      const range = parseRange(`bytes=${first}-${last}`, sizeBytes)
      if (range === undefined || range === 'unsatisfiable') return
      assert.ok(range.start >= 0 && range.start < range.end && range.end <= sizeBytes)
    }),
  )
})
