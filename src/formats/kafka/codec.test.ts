import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  array,
  between,
  bool,
  bytes,
  int16,
  int32,
  int64,
  int8,
  message,
  nullableArray,
  nullableString,
  records,
  since,
  string,
  stringNullableSince,
  struct,
  tagged,
  taggedOrNull,
  until,
  uuid,
  type Field,
} from './codec.ts'
import { MessageReader, MessageWriter } from './message-bytes.ts'

/** From version 2 on all of these are flexible. */
const flexibleFrom = 2

function written<Out, In>(field: Field<Out, In>, version: number, value: In): string {
  const w = new MessageWriter()
  message(field, flexibleFrom).at(version).write(w, value)
  return w.finish().toString('hex')
}

function read<Out, In>(field: Field<Out, In>, version: number, hex: string): Out {
  const r = new MessageReader(Buffer.from(hex, 'hex'))
  const value = message(field, flexibleFrom).at(version).read(r)
  assert.equal(r.remaining, 0)
  return value
}

type Case = { readonly name: string; readonly check: () => void }

function one<T>(name: string, field: Field<T>, version: number, value: T, hex: string): Case {
  return {
    name,
    check() {
      assert.equal(written(field, version, value), hex)
      assert.deepEqual(read(field, version, hex), value)
      for (let cut = 0; cut < hex.length; cut += 2) {
        assert.throws(() => read(field, version, hex.slice(0, cut)), { code: 'TRUNCATED' })
      }
    },
  }
}

const pair = struct({ left: int8, right: since(1, int8, 9) })
const withTags = struct({
  number: int8,
  text: tagged(1, 2, string, ''),
  list: tagged(3, 2, array(int8), []),
  place: taggedOrNull(2, 2, struct({ at: int16 })),
})

const cases = [
  one('int8', int8, 0, -2, 'fe'),
  one('int16', int16, 0, -2, 'fffe'),
  one('int32', int32, 0, -2, 'fffffffe'),
  one('int64', int64, 0, -2, 'fffffffffffffffe'),
  one('bool', bool, 0, true, '01'),
  one('uuid', uuid, 0, '00112233-4455-6677-8899-aabbccddeeff', '00112233445566778899aabbccddeeff'),
  one('string', string, 0, 'ß', '0002c39f'),
  one('compact string', string, 2, 'ß', '03c39f'),
  one('empty compact string', string, 2, '', '01'),
  one('null string', nullableString, 0, null, 'ffff'),
  one('null compact string', nullableString, 2, null, '00'),
  one('bytes', bytes, 0, Buffer.from('ab'), '000000026162'),
  one('compact bytes', bytes, 2, Buffer.from('ab'), '036162'),
  one('null array', nullableArray(int8), 0, null, 'ffffffff'),
  one('null compact array', nullableArray(int8), 2, null, '00'),
  one('array', array(int8), 0, [1, 2], '000000020102'),
  one('compact array', array(int8), 2, [1, 2], '030102'),
  one('struct with tags left out', withTags, 2, { number: 5, text: '', list: [], place: null }, '0500'),
  one(
    'struct with tags',
    withTags,
    2,
    { number: 5, text: 'a', list: [7], place: { at: 4 } },
    '0503010202610203000400030202' + '07',
  ),
]

for (const { name, check } of cases) test(`${name} is written and read, and refused where it is cut short`, check)

test('the length of a compact array of 200 takes two bytes', () => {
  const values = Array.from({ length: 200 }, () => 1)
  assert.equal(written(array(int8), 2, values), 'c901' + '01'.repeat(200))
  assert.deepEqual(read(array(int8), 2, 'c901' + '01'.repeat(200)), values)
})

test('versions without a field read its fallback and write nothing', () => {
  const fields = struct({ first: until(0, int8, 7), middle: between(1, 2, int8, 8), last: since(2, int8, 9) })
  for (const [version, hex, value] of [
    [0, '01', { first: 1, middle: 8, last: 9 }],
    [1, '02', { first: 7, middle: 2, last: 9 }],
    [2, '020300', { first: 7, middle: 2, last: 3 }],
    [3, '0300', { first: 7, middle: 8, last: 3 }],
  ] as const) {
    assert.equal(written(fields, version, { first: 1, middle: 2, last: 3 }), hex)
    assert.deepEqual(read(fields, version, hex), value)
  }
})

test('a field with a fallback may be left out of what is written', () => {
  assert.equal(written(pair, 1, { left: 1 }), '0109')
  assert.equal(written(withTags, 2, { number: 1 }), '0100')
})

test('before the version that allows it, null is written as empty and refused in what is read', () => {
  assert.equal(written(stringNullableSince(1), 0, null), '0000')
  assert.equal(written(nullableArray(int8, 1), 0, null), '00000000')
  assert.equal(read(stringNullableSince(1), 1, 'ffff'), null)
  assert.throws(() => read(stringNullableSince(1), 0, 'ffff'), { code: 'MALFORMED' })
  assert.throws(() => read(nullableArray(int8, 1), 0, 'ffffffff'), { code: 'MALFORMED' })
})

test('records are written from one buffer or several, and read as a view', () => {
  const batches = [Buffer.from('ab'), Buffer.from('c')]
  assert.equal(written(records, 0, batches), '00000003616263')
  assert.equal(written(records, 2, batches), '04616263')
  assert.equal(written(records, 2, Buffer.from('abc')), '04616263')
  assert.equal(written(records, 2, null), '00')
  const memory = Buffer.from('04616263', 'hex')
  const value = message(records, flexibleFrom).at(2).read(new MessageReader(memory))
  assert.equal(value?.buffer, memory.buffer)
})

test('unknown tagged fields are passed over', () => {
  const hex = '05' + '03' + '0002ffff' + '01020261' + '7f00'
  assert.deepEqual(read(withTags, 2, hex), { number: 5, text: 'a', list: [], place: null })
})

const refused: [name: string, field: Field<unknown, never>, version: number, hex: string, code: string][] = [
  ['null where a string must be', string, 2, '00', 'MALFORMED'],
  ['null where bytes must be', bytes, 0, 'ffffffff', 'MALFORMED'],
  ['null where an array must be', array(int8), 2, '00', 'MALFORMED'],
  ['a string of negative length', string, 0, 'fffe', 'MALFORMED'],
  ['bytes of negative length', bytes, 0, '80000000', 'MALFORMED'],
  ['an array of negative length', array(int8), 0, 'fffffffe', 'MALFORMED'],
  ['a compact string of 32 KiB', string, 2, '818002' + '61'.repeat(32_768), 'MALFORMED'],
  ['bytes longer than the message', bytes, 0, '7fffffff00', 'TRUNCATED'],
  ['compact bytes longer than the message', bytes, 2, 'ffffffff0f00', 'TRUNCATED'],
  ['an array longer than the message', array(int8), 0, '7fffffff00', 'TRUNCATED'],
  ['a compact array longer than the message', array(int8), 2, 'ffffffff0f00', 'TRUNCATED'],
  ['a length of more than 32 bits', bytes, 2, 'ffffffff1f', 'MALFORMED'],
  ['a number beyond 2^53', int64, 0, '0020000000000000', 'MALFORMED'],
  ['more tagged fields than there are', withTags, 2, '05ffffffff0f', 'TRUNCATED'],
  ['a tagged field longer than the message', withTags, 2, '0501017f0261', 'TRUNCATED'],
  ['a tagged field that is longer than its value', withTags, 2, '05010103026100', 'MALFORMED'],
  ['a tagged field that is shorter than its value', withTags, 2, '0501010103616200', 'MALFORMED'],
]

for (const [name, field, version, hex, code] of refused) {
  test(`${name} is refused`, () => {
    assert.throws(
      () =>
        message(field, flexibleFrom)
          .at(version)
          .read(new MessageReader(Buffer.from(hex, 'hex'))),
      { code },
    )
  })
}

test('arrays in arrays share one allowance of items, however short they are', () => {
  const inner = Buffer.concat([Buffer.from('a18d06', 'hex'), Buffer.alloc(100_000)])
  const three = Buffer.concat([Buffer.of(4), inner, inner, inner])
  assert.equal(inner.length, 100_003)
  assert.throws(
    () =>
      message(array(array(int8)), 0)
        .at(0)
        .read(new MessageReader(three)),
    { code: 'LIMIT_EXCEEDED' },
  )
})

test('a string that no length can tell is refused when written', () => {
  assert.throws(() => written(string, 0, 'a'.repeat(32_768)), { code: 'LIMIT_EXCEEDED' })
})

test('text that is no UUID is refused when written', () => {
  assert.throws(() => written(uuid, 0, 'abc'), { code: 'MALFORMED' })
})
