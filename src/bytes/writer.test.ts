import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Writer } from './writer.ts'

const cases: [string, (w: Writer) => unknown, string][] = [
  ['u8', (w) => w.u8(0x12), '12'],
  ['u16', (w) => w.u16(0x1234), '1234'],
  ['u24', (w) => w.u24(0x12_3456), '123456'],
  ['u32', (w) => w.u32(0x1234_5678), '12345678'],
  ['u64', (w) => w.u64(0x12_3456_789a), '000000123456789a'],
  ['i8', (w) => w.i8(-2), 'fe'],
  ['i16', (w) => w.i16(-2), 'fffe'],
  ['i32', (w) => w.i32(-2), 'fffffffe'],
  ['i64', (w) => w.i64(0x12_3456_789a), '000000123456789a'],
  ['i64 of -2', (w) => w.i64(-2), 'fffffffffffffffe'],
  ['i64 of -2^53 + 1', (w) => w.i64(Number.MIN_SAFE_INTEGER), 'ffe0000000000001'],
  ['i64 of 2^53 - 1', (w) => w.i64(Number.MAX_SAFE_INTEGER), '001fffffffffffff'],
  ['uvarint of one byte', (w) => w.uvarint(127), '7f'],
  ['uvarint of two bytes', (w) => w.uvarint(300), 'ac02'],
  ['uvarint of five bytes', (w) => w.uvarint(2 ** 32 - 1), 'ffffffff0f'],
  ['utf8', (w) => w.utf8('aß€', 6), '61c39fe282ac'],
  ['raw', (w) => w.raw(Buffer.from('abcd', 'hex')), 'abcd'],
  ['zeros', (w) => w.zeros(3), '000000'],
]

for (const [name, write, hex] of cases) {
  test(`${name} is written whole where the buffer has to grow`, () => {
    for (let filled = 0; filled <= 8; filled++) {
      const w = new Writer(8)
      for (let i = 0; i < filled; i++) w.u8(0xee)
      write(w)
      assert.equal(w.finish().toString('hex'), 'ee'.repeat(filled) + hex)
    }
  })
}
