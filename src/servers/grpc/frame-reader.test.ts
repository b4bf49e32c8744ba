import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { FrameReader } from './frame-reader.ts'

const maxMessageBytes = 1000

function frame(text: string, flag = 0): Buffer {
  const prefix = Buffer.of(flag, 0, 0, 0, 0)
  prefix.writeUInt32BE(text.length, 1)
  return Buffer.concat([prefix, Buffer.from(text)])
}

function readAll(chunks: readonly Buffer[]): [isCompressed: boolean, text: string][] {
  const reader = new FrameReader({ maxMessageBytes })
  const found: [boolean, string][] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let one = reader.next(); one; one = reader.next()) found.push([one.isCompressed, one.bytes.toString()])
  }
  return found
}

const sent = Buffer.concat([frame('first'), frame(''), frame('zip', 1), frame('x'.repeat(maxMessageBytes))])
const expected = [
  [false, 'first'],
  [false, ''],
  [true, 'zip'],
  [false, 'x'.repeat(maxMessageBytes)],
]

for (const step of [1, 2, 3, 5, 7, 64, 1000, sent.length]) {
  test(`messages come out whole from chunks of ${step} bytes`, () => {
    const chunks = Array.from({ length: Math.ceil(sent.length / step) }, (_, index) =>
      sent.subarray(index * step, (index + 1) * step),
    )
    assert.deepEqual(readAll(chunks), expected)
  })
}

test('a message that begins tells its size before it is there', () => {
  const reader = new FrameReader({ maxMessageBytes })
  reader.push(frame('hello').subarray(0, 4))
  assert.deepEqual([reader.announced(), reader.isWithinMessage], [undefined, true])
  reader.push(frame('hello').subarray(4, 7))
  assert.deepEqual([reader.announced(), reader.next(), reader.bufferedBytes], [5, undefined, 2])
  reader.push(frame('hello').subarray(7))
  assert.deepEqual([reader.next()?.bytes.toString(), reader.isWithinMessage], ['hello', false])
})

test('a message above the limit is refused before it has come', () => {
  const reader = new FrameReader({ maxMessageBytes })
  reader.push(Buffer.of(0, 0, 0, 0x03, 0xe9))
  assert.throws(
    () => reader.next(),
    (error) => error instanceof AppError && error.code === 'LIMIT_EXCEEDED',
  )
})

test('a flag that is none is refused', () => {
  assert.throws(
    () => readAll([frame('a', 2)]),
    (error) => error instanceof AppError && error.code === 'MALFORMED',
  )
})

fuzzBytes('frames', [sent, frame('a', 2), frame('zip', 1).subarray(0, 6)], (input) => {
  const half = Math.floor(input.length / 2)
  assert.deepEqual(readAll([input.subarray(0, half), input.subarray(half)]), readAll([input]))
})
