import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { field, message, oneof, optional, repeated, unread } from './message.ts'
import { bool, bytes, enumeration, int32, int64, string, uint32, uint64 } from './types.ts'

const color = enumeration('Color', { NONE: 0, RED: 1, FAR: 300 })
const inner = message('Inner', { name: field(1, string), weight: optional(2, int32) })
const everything = message('Everything', {
  text: field(1, string),
  raw: field(2, bytes),
  small: field(3, int32),
  large: field(4, int64),
  count: field(5, uint32),
  total: field(6, uint64),
  isSet: field(7, bool),
  color: field(8, color),
  maybeText: optional(9, string),
  inner: optional(10, inner),
  names: repeated(11, string),
  numbers: repeated(12, int64),
  inners: repeated(13, inner),
  choice: oneof({ word: { number: 14, type: string }, thing: { number: 15, type: inner }, number: { number: 16, type: int32 } }),
})

const absent = everything.decode(Buffer.alloc(0))

/** By hand after https://protobuf.dev/programming-guides/encoding/ */
const cases: readonly (readonly [name: string, hex: string, value: Parameters<typeof everything.encode>[0]])[] = [
  ['nothing', '', {}],
  ['text', '0a0774657374696e67', { text: 'testing' }],
  ['text beyond ASCII', '0a05e282acc3a4', { text: '€ä' }],
  ['bytes', '1203000102', { raw: Buffer.of(0, 1, 2) }],
  ['150', '189601', { small: 150 }],
  ['below zero in ten bytes', '18feffffffffffffffff01', { small: -2 }],
  ['the smallest int32', '1880808080f8ffffffff01', { small: -(2 ** 31) }],
  ['the largest int32', '18ffffffff07', { small: 2 ** 31 - 1 }],
  ['2^53 - 1', '20ffffffffffffff0f', { large: Number.MAX_SAFE_INTEGER }],
  ['-(2^53 - 1)', '2081808080808080f0ff01', { large: -Number.MAX_SAFE_INTEGER }],
  ['a time', '2080d095ffbc31', { large: 1_700_000_000_000 }],
  ['-1', '20ffffffffffffffffff01', { large: -1 }],
  ['the largest uint32', '28ffffffff0f', { count: 2 ** 32 - 1 }],
  ['128', '308001', { total: 128 }],
  ['true', '3801', { isSet: true }],
  ['an enumeration', '40ac02', { color: 'FAR' }],
  ['present, but empty', '4a00', { maybeText: '' }],
  ['an empty message', '5200', { inner: {} }],
  ['a message', '52060a0161' + '108001', { inner: { name: 'a', weight: 128 } }],
  ['a message with a zero that is there', '52021000', { inner: { weight: 0 } }],
  ['texts, one of them empty', '5a01615a00', { names: ['a', ''] }],
  ['packed numbers', '620401ac0200', { numbers: [1, 300, 0] }],
  ['messages', '6a030a01616a00', { inners: [{ name: 'a' }, {}] }],
  ['one of several', '720178', { choice: { kind: 'word', value: 'x' } }],
  ['one of several, zero', '800100', { choice: { kind: 'number', value: 0 } }],
  ['one of several, a message', '7a021005', { choice: { kind: 'thing', value: { weight: 5 } } }],
]

for (const [name, hex, value] of cases) {
  test(`${name} is written as ${hex || 'nothing'} and read again`, () => {
    const encoded = everything.encode(value)
    assert.equal(encoded.toString('hex'), hex)
    const decoded = everything.decode(encoded)
    assert.equal(everything.encode(decoded).toString('hex'), hex)
    const different = Object.entries(decoded).filter(([key, one]) => !isDeepStrictEqual(one, Object(absent)[key]))
    assert.deepEqual(
      different.map(([key]) => key),
      Object.keys(value),
    )
  })
}

test('a long message grows the writer', () => {
  const names = Array.from({ length: 2000 }, (_, index) => `name ${index}`)
  assert.deepEqual(everything.decode(everything.encode({ names })).names, names)
})

test('what is read is a view, and lists are their own', () => {
  const encoded = everything.encode({ raw: Buffer.from('abc') })
  const { raw } = everything.decode(encoded)
  assert.equal(raw.buffer, encoded.buffer)
  assert.notEqual(everything.decode(encoded).names, everything.decode(encoded).names)
})

test('null is written like what is absent', () => {
  assert.equal(everything.encode({ maybeText: null }).length, 0)
})

const readable: readonly (readonly [name: string, hex: string, expected: Partial<typeof absent>])[] = [
  [
    'unknown fields are passed over',
    'f80101' + 'f90100000000000000' + '00' + 'fa010141' + 'fd0100000000' + '0a0161',
    { text: 'a' },
  ],
  ['the last value of a field counts', '0a01610a0162', { text: 'b' }],
  ['the last one of several counts', '720178' + '800105', { choice: { kind: 'number', value: 5 } }],
  ['numbers that are not packed', '6001' + '60ac02', { numbers: [1, 300] }],
  ['numbers, packed and not', '620101' + '6002', { numbers: [1, 2] }],
  ['a number that is longer than need be', '18818000', { small: 1 }],
  ['any number but 0 as true', '3802', { isSet: true }],
]
for (const [name, hex, expected] of readable) {
  test(`${name}`, () => assert.deepEqual(everything.decode(Buffer.from(hex, 'hex')), { ...absent, ...expected }))
}

const refused: readonly (readonly [name: string, hex: string, code: ErrorCode])[] = [
  ['a text that ends early', '0a05' + '6162', 'TRUNCATED'],
  ['a length beyond all', '0affffffff7f', 'TRUNCATED'],
  ['a number without its end', '1880', 'TRUNCATED'],
  ['a message that reaches beyond the one around it', '5202' + '0a05' + '6162636465', 'TRUNCATED'],
  ['field 0', '0001', 'MALFORMED'],
  ['a known field of another type', '0801', 'MALFORMED'],
  ['a group', 'fb01', 'MALFORMED'],
  ['an unknown number of eleven bytes', 'f801' + 'ffffffffffffffffffff01', 'MALFORMED'],
  ['a number of eleven bytes', '20' + 'ffffffffffffffffffff01', 'MALFORMED'],
  ['2^53', '2080808080808080' + '10', 'MALFORMED'],
  ['2^63 unsigned', '3080808080808080808001', 'MALFORMED'],
  ['2^31 as an int32', '188080808008', 'MALFORMED'],
  ['2^32 as a uint32', '288080808010', 'MALFORMED'],
  ['an unknown name of an enumeration', '4002', 'MALFORMED'],
  ['a fixed number that ends early', 'f9010000', 'TRUNCATED'],
]
for (const [name, hex, code] of refused) {
  test(`${name} is refused`, () => {
    assert.throws(
      () => everything.decode(Buffer.from(hex, 'hex')),
      (error: unknown) =>
        error instanceof AppError && error.code === code && error.message.startsWith('Everything cannot be read: '),
    )
  })
}

test('an unread list says where its messages lie', () => {
  const list = message('List', { head: field(1, string), items: unread(2, inner) })
  const encoded = list.encode({ head: 'x', items: [{ name: 'a' }, {}, { name: 'bc' }] })
  const { items } = list.decode(encoded)
  const found = items.starts.map((start, index) => inner.decode(items.bytes.subarray(start, items.ends[index])).name)
  assert.deepEqual([items.count, found], [3, ['a', '', 'bc']])
})

fuzzBytes(
  'Everything',
  [...cases, ...readable, ...refused].map(([, hex]) => Buffer.from(hex, 'hex')),
  (input) => {
    const value = everything.decode(input)
    assert.deepEqual(everything.decode(everything.encode(value)), value)
  },
)
