import assert from 'node:assert/strict'
import { join, normalize } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { checkObjectKey, compareKeys, isObjectKey } from './object-key.ts'

const good = ['a', 'a/b', 'a-b.c_d', 'é', 'a..b', 'x'.repeat(255), '😀/~']
const bad = [
  '',
  '/',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  'a/../b',
  '.a',
  'a/.b',
  '\0',
  'a\u007F',
  '\uDC00',
  'x'.repeat(256),
  'a/'.repeat(512) + 'b',
]

for (const key of good) test(`key ${JSON.stringify(key.slice(0, 20))} is taken`, () => checkObjectKey(key))
for (const key of bad) {
  test(`key ${JSON.stringify(key.slice(0, 20))} is refused`, () => {
    assert.throws(() => checkObjectKey(key), { code: 'OBJECT_KEY_INVALID' })
  })
}

fuzzText('object keys', [...good, ...bad], (key) => {
  if (isObjectKey(key)) assert.equal(normalize(join('/root', key)), `/root/${key}`)
  else checkObjectKey(key)
})

test('keys compare by code points', () => {
  assert(compareKeys('\uFF5E', '😀') < 0)
  const key = fc.array(fc.constantFrom('a', 'b', '/', 'é', '\uFF5E', '😀')).map((characters) => characters.join(''))
  const hex = (text: string) => Array.from(text, (character) => character.codePointAt(0)?.toString(16).padStart(6, '0')).join('')
  fc.assert(fc.property(key, key, (a, b) => compareKeys(a, b) < 0 === hex(a) < hex(b)))
})
