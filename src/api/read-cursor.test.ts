import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzText } from '../../test/support/fuzz.ts'
import { AppError } from '#lib/errors.ts'
import { parseReadCursor, writeReadCursor } from './read-cursor.ts'

const partitions = Array.from({ length: 1000 }, (_, index) => ({ index }))
// Of partitions a cursor only needs to know how many there are.
const topic = { id: '0b6a3a52-8a1b-4a0e-9f0e-1f2e3d4c5b6a', name: 'orders', partitions: Object.assign([], partitions) }
const cursors = [
  { isAll: true, positions: [{ partition: 0, offset: 0 }] },
  {
    isAll: false,
    positions: [
      { partition: 999, offset: Number.MAX_SAFE_INTEGER - 1 },
      { partition: 3, offset: 70_000 },
    ],
  },
  { isAll: true, positions: partitions.map(({ index }) => ({ partition: index, offset: 1_000_000_000 + index })) },
] as const

test('a cursor says what was written into it, in the same order', () => {
  for (const cursor of cursors) {
    const text = writeReadCursor(topic, cursor)
    assert.deepEqual(parseReadCursor(topic, text), cursor)
    assert.ok(text.length < 12_000, `${text.length} characters`)
  }
})

test('what is no cursor of this topic is refused', () => {
  const text = writeReadCursor(topic, cursors[1])
  const bytes = Buffer.from(text, 'base64url')
  const other = { ...topic, id: '00000000-0000-0000-0000-000000000000' }
  for (const [name, refused, of] of [
    ['another topic of this name', text, other],
    ['fewer partitions', text, { ...topic, partitions: [] }],
    ['text', 'hello', topic],
    ['other letters', `${text}!`, topic],
    ['a cut', bytes.subarray(0, -1).toString('base64url'), topic],
    ['more behind it', Buffer.concat([bytes, Buffer.of(0)]).toString('base64url'), topic],
    ['nothing', '', topic],
  ] as const) {
    assert.throws(
      () => parseReadCursor(of, refused),
      (error) =>
        error instanceof AppError && error.code === 'REQUEST_INVALID' && error.message.startsWith('query.cursor is no cursor'),
      name,
    )
  }
})

fuzzText(
  'parseReadCursor',
  cursors.map((cursor) => writeReadCursor(topic, cursor)),
  (text) => parseReadCursor(topic, text),
)
