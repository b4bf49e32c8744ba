import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader } from './reader.ts'

const cases: [string, string, (r: Reader) => unknown, unknown][] = [
  ['u24', '123456', (r) => r.u24(), 0x12_3456],
  ['i8', 'fe', (r) => r.i8(), -2],
  ['i64', '000000123456789a', (r) => r.i64(), 0x12_3456_789a],
  ['i64 of -2', 'fffffffffffffffe', (r) => r.i64(), -2],
  ['i64 of -2^32', 'ffffffff00000000', (r) => r.i64(), -(2 ** 32)],
  ['i64 of -2^53 + 1', 'ffe0000000000001', (r) => r.i64(), Number.MIN_SAFE_INTEGER],
  ['i64 of 2^53 - 1', '001fffffffffffff', (r) => r.i64(), Number.MAX_SAFE_INTEGER],
  ['uvarint of one byte', '7f', (r) => r.uvarint(), 127],
  ['uvarint of two bytes', 'ac02', (r) => r.uvarint(), 300],
  ['uvarint of five bytes', 'ffffffff0f', (r) => r.uvarint(), 2 ** 32 - 1],
  ['uvarint with idle groups', '808000', (r) => r.uvarint(), 0],
  ['utf8', '61c39fe282ac', (r) => r.utf8(6), 'aß€'],
]

for (const [name, hex, read, value] of cases) {
  test(`${name} is read, and refused where it is cut short`, () => {
    const bytes = Buffer.from(hex, 'hex')
    const r = new Reader(bytes)
    assert.equal(read(r), value)
    assert.equal(r.remaining, 0)
    for (let cut = 0; cut < bytes.length; cut++) {
      assert.throws(() => read(new Reader(bytes.subarray(0, cut))), { code: 'TRUNCATED' })
    }
  })
}

const refused: [string, string, (r: Reader) => unknown][] = [
  ['i64 of 2^53', '0020000000000000', (r) => r.i64()],
  ['i64 of -2^53', 'ffe0000000000000', (r) => r.i64()],
  ['i64 of 2^63 - 1', '7fffffffffffffff', (r) => r.i64()],
  ['uvarint of 33 bits', 'ffffffff1f', (r) => r.uvarint()],
  ['uvarint of six bytes', '808080808001', (r) => r.uvarint()],
]

for (const [name, hex, read] of refused) {
  test(`${name} is refused, since it is not exact`, () => {
    assert.throws(() => read(new Reader(Buffer.from(hex, 'hex'))), { code: 'MALFORMED' })
  })
}

test('a length below zero is refused', () => {
  assert.throws(() => new Reader(Buffer.alloc(4)).slice(-1), { code: 'TRUNCATED' })
})
