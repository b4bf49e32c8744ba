import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fuzzBytes } from '../../test/support/fuzz.ts'
import { VarintReader, varintBytes, writeVarint } from './varint.ts'

const cases: [value: number, hex: string][] = [
  [0, '00'],
  [-1, '01'],
  [1, '02'],
  [-2, '03'],
  [63, '7e'],
  [-64, '7f'],
  [64, '8001'],
  [-65, '8101'],
  [8191, 'fe7f'],
  [-8192, 'ff7f'],
  [8192, '808001'],
  [2 ** 20 - 1, 'feff7f'],
  [2 ** 20, '80808001'],
  [2 ** 31 - 1, 'feffffff0f'],
  [-(2 ** 31), 'ffffffff0f'],
  [2 ** 31, '8080808010'],
  [Number.MAX_SAFE_INTEGER, 'feffffffffffff1f'],
  [Number.MIN_SAFE_INTEGER, 'fdffffffffffff1f'],
]

for (const [value, hex] of cases) {
  test(`${value} as a variable-length number is ${hex}`, () => {
    const bytes = Buffer.alloc(hex.length / 2 + 2, 0xee)
    assert.equal(writeVarint(bytes, 1, value), bytes.length - 1)
    assert.equal(bytes.toString('hex'), `ee${hex}ee`)
    assert.equal(varintBytes(value), hex.length / 2)
    const reader = new VarintReader(Buffer.from(hex, 'hex'))
    assert.equal(reader.varint(), value)
    assert.equal(reader.remaining, 0)
  })
}

test('every exact integer survives, and takes as many bytes as was foretold', () => {
  const bytes = Buffer.alloc(10)
  const property = fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer()), (value) => {
    const end = writeVarint(bytes, 0, value)
    assert.equal(varintBytes(value), end)
    assert.equal(new VarintReader(bytes).varint(), value)
  })
  fc.assert(property, { numRuns: 2000 })
})

for (const [name, hex, code] of [
  ['nothing', '', 'TRUNCATED'],
  ['a first byte alone', '80', 'TRUNCATED'],
  ['two bytes that announce a third', '8080', 'TRUNCATED'],
  ['2^53', '80808080808080 20', 'MALFORMED'],
  ['eleven bytes', 'ffffffffffffffffffff01', 'MALFORMED'],
] as const) {
  test(`${name} is no variable-length number`, () => {
    const reader = new VarintReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    assert.throws(() => reader.varint(), { code })
  })
}

test('a slice is a view, and must be there', () => {
  const reader = new VarintReader(Buffer.from('010203', 'hex'))
  reader.skip(1)
  assert.equal(reader.slice(2).toString('hex'), '0203')
  assert.throws(() => reader.slice(1), { code: 'TRUNCATED' })
  assert.throws(() => reader.slice(-1), { code: 'TRUNCATED' })
  assert.equal(reader.remaining, 0)
})

fuzzBytes(
  'variable-length numbers',
  cases.map(([, hex]) => Buffer.from(hex, 'hex')),
  (input) => {
    const reader = new VarintReader(input)
    while (reader.remaining > 0) reader.varint()
  },
)
