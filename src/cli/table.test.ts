import assert from 'node:assert/strict'
import { test } from 'node:test'
import { styleText } from 'node:util'
import { formatPairs, formatTable } from './table.ts'

test('columns are aligned, numbers to the right, without trailing space', () => {
  const text = formatTable(
    [{ title: 'NAME' }, { title: 'KBPS', align: 'right' }, { title: 'STATE' }],
    [
      ['lobby', '12', ''],
      ['site-2/gate', '12345', 'online'],
    ],
  )
  assert.equal(text, 'NAME          KBPS  STATE\nlobby           12\nsite-2/gate  12345  online\n')
})

test('colours take no room', () => {
  const red = styleText('red', 'off', { validateStream: false })
  const [, line] = formatTable([{ title: 'STATE' }, { title: 'X' }], [[red, '1']]).split('\n')
  assert.equal(line, `${red}    1`)
})

test('pairs without a value are left out', () => {
  assert.equal(
    formatPairs([
      ['a', '1'],
      ['long', undefined],
      ['bcd', '2'],
      ['e', ''],
    ]),
    'a    1\nbcd  2\n',
  )
})
