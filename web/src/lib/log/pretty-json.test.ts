import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prettyJson } from './pretty-json.ts'

const pretty = (text: string): string | undefined =>
  prettyJson(text)
    ?.map((piece) => piece.text)
    .join('')

const values: [string, unknown][] = [
  ['an object', { a: 1, b: [true, null, { c: 'd' }], e: 'x, y: {z}' }],
  ['empty ones', { a: {}, b: [], c: [[], {}] }],
  [
    'an array of arrays',
    [
      [1, 2],
      [3, [4]],
    ],
  ],
  ['marks and escapes in texts', { 'a"b': 'c\\', 'd:': '\u0007"}' }],
]
for (const [name, value] of values) {
  test(`it looks like JSON.stringify with two spaces: ${name}`, () => {
    assert.equal(pretty(JSON.stringify(value)), JSON.stringify(value, null, 2))
    assert.equal(pretty(JSON.stringify(value, null, '\t')), JSON.stringify(value, null, 2))
  })
}

test('numbers keep their digits, and doubled keys stay', () => {
  assert.equal(pretty('{"id":12345678901234567890,"id":1.50e+2}'), '{\n  "id": 12345678901234567890,\n  "id": 1.50e+2\n}')
})

test('pieces say what they are', () => {
  assert.deepEqual(
    prettyJson('{"a" : "b","c":[1,true]}')?.filter(({ kind }) => kind !== 'plain'),
    [
      { kind: 'key', text: '"a"' },
      { kind: 'text', text: '"b"' },
      { kind: 'key', text: '"c"' },
      { kind: 'number', text: '1' },
      { kind: 'word', text: 'true' },
    ],
  )
})

for (const text of ['', 'hello', '12', '"text"', 'null', '{"a":', '[1,]', '{a: 1}', '[1] [2]']) {
  test(`is left as it is: ${text}`, () => {
    assert.equal(prettyJson(text), undefined)
  })
}

test('a text of a hundred thousand characters with escapes is no trouble', () => {
  const value = ['\\"'.repeat(50_000)]
  assert.equal(pretty(JSON.stringify(value)), JSON.stringify(value, null, 2))
})
