import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { boxesIn, findBox, readBoxHeader, requireBox } from './read-boxes.ts'

const cases = [
  ['an empty box', '0000000866726565', [['free', 0, 8, 0]]],
  ['a body', '0000000a667265650102', [['free', 0, 10, 2]]],
  ['a 64-bit size', '0000000166726565000000000000001205ff', [['free', 0, 18, 2]]],
  [
    'size 0: to the end',
    '00000008736b69700000000066726565aabbcc',
    [
      ['skip', 0, 8, 0],
      ['free', 8, 11, 3],
    ],
  ],
] as const

for (const [name, hex, boxes] of cases) {
  test(`boxes: ${name}`, () => {
    const found = [...boxesIn(Buffer.from(hex, 'hex'))]
    assert.deepEqual(
      found.map(({ type, offset, sizeBytes, body }) => [type, offset, sizeBytes, body.length]),
      boxes,
    )
  })
}

const refused = [
  ['half a header', '000000086672', 'TRUNCATED'],
  ['a size beyond the end', '0000000966726565', 'TRUNCATED'],
  ['a size below the header', '0000000766726565', 'MALFORMED'],
  ['a 64-bit size below its header', '0000000166726565000000000000000f', 'MALFORMED'],
  ['half a 64-bit size', '000000016672656500000000', 'TRUNCATED'],
] as const

for (const [name, hex, code] of refused) {
  test(`${name} is refused`, () => {
    assert.throws(() => [...boxesIn(Buffer.from(hex, 'hex'))], { code })
    assert.throws(() => readBoxHeader(Buffer.from(hex, 'hex'), 0), { code })
  })
}

test('a box is found by its path, and its absence is told', () => {
  const nested = Buffer.from('000000126d6f6f760000000a747261' + '6b0102', 'hex')
  assert.deepEqual(findBox(nested, 'moov', 'trak'), Buffer.from('0102', 'hex'))
  assert.equal(findBox(nested, 'moov', 'mvex', 'trex'), undefined)
  assert.throws(() => requireBox(nested, 'moov', 'mvhd'), { code: 'MALFORMED' })
})

fuzzBytes(
  'boxes',
  cases.map(([, hex]) => Buffer.from(hex, 'hex')),
  (input) => [...boxesIn(input)],
)
