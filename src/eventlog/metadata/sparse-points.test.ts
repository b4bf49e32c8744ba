import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import type { SparsePoint } from './log-metadata.ts'
import { packSparse, unpackSparse } from './sparse-points.ts'

const start = { baseOffset: 1000, minTimestampMs: 1_790_000_000_000 }
const max = Number.MAX_SAFE_INTEGER

const cases: readonly [name: string, hex: string, sparse: readonly SparsePoint[]][] = [
  ['none', '', []],
  ['one', 'a4018080080a', [{ offset: 1100, positionBytes: 65_536, maxTimestampMs: 1_790_000_000_010 }]],
  [
    'times without an order',
    '010143010100',
    [
      { offset: 1001, positionBytes: 1, maxTimestampMs: 1_789_999_999_997 },
      { offset: 1002, positionBytes: 2, maxTimestampMs: 1_789_999_999_997 },
    ],
  ],
  ['the largest', '97f0ffffffffff1fbfffffffffffff1fbfcffcbae797ff1f', [{ offset: max, positionBytes: max, maxTimestampMs: max }]],
]

for (const [name, hex, sparse] of cases) {
  test(`sparse points: ${name}`, () => {
    assert.equal(packSparse({ ...start, sparse }).toString('hex'), hex)
    assert.deepEqual(unpackSparse(Buffer.from(hex, 'hex'), start), sparse)
  })
}

test('sparse points that are no triples are refused', () => {
  assert.throws(() => unpackSparse(Buffer.from('0101', 'hex'), start), { code: 'LOG_DAMAGED', message: /offset 1000/ })
})

fuzzBytes(
  'sparse points',
  cases.map(([, hex]) => Buffer.from(hex, 'hex')),
  (bytes) => unpackSparse(bytes, start),
)
