import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { FrameReader } from './frame-reader.ts'

function frameOf(bytes: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeInt32BE(bytes.length)
  return Buffer.concat([prefix, bytes])
}

const frames = [Buffer.from('a'), Buffer.alloc(300, 'b'), Buffer.alloc(70_000, 'c'), Buffer.alloc(5_000_000, 'd')]
const whole = Buffer.concat(frames.map(frameOf))

for (const chunkBytes of [3, 1000, 65_536, whole.length]) {
  test(`frames are the same in chunks of ${chunkBytes} bytes`, () => {
    const reader = new FrameReader({ maxFrameBytes: () => 10_000_000 })
    const stream = chunkBytes === 3 ? whole.subarray(0, 100_000) : whole
    const found = []
    for (let at = 0; at < stream.length; at += chunkBytes) {
      reader.push(stream.subarray(at, at + chunkBytes))
      for (let frame = reader.next(); frame; frame = reader.next()) found.push(frame)
    }
    const expected = chunkBytes === 3 ? frames.slice(0, 3) : frames
    assert.deepEqual(
      found.map((frame, index) => frame.equals(expected[index] ?? Buffer.alloc(0))),
      expected.map(() => true),
    )
  })
}

test('frames that were not asked for wait', () => {
  const reader = new FrameReader({ maxFrameBytes: () => 100 })
  reader.push(Buffer.concat([frameOf(Buffer.from('one')), frameOf(Buffer.from('two'))]))
  assert.equal(reader.next()?.toString(), 'one')
  reader.push(frameOf(Buffer.from('three')))
  assert.equal(reader.next()?.toString(), 'two')
  assert.equal(reader.next()?.toString(), 'three')
  assert.equal(reader.next(), undefined)
})

test('a limit that was raised in between holds for the next frame', () => {
  let maxBytes = 10
  const reader = new FrameReader({ maxFrameBytes: () => maxBytes })
  reader.push(Buffer.concat([frameOf(Buffer.alloc(10)), frameOf(Buffer.alloc(11))]))
  assert.equal(reader.next()?.length, 10)
  maxBytes = 11
  assert.equal(reader.next()?.length, 11)
})

const refused: [name: string, bytes: Buffer, code: string][] = [
  ['a frame above the limit', Buffer.from('00000065', 'hex'), 'LIMIT_EXCEEDED'],
  ['an empty frame', Buffer.from('00000000', 'hex'), 'MALFORMED'],
  ['a negative length', Buffer.from('ffffffff', 'hex'), 'MALFORMED'],
  ['a TLS client', Buffer.from('1603010200', 'hex'), 'MALFORMED'],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n'), 'LIMIT_EXCEEDED'],
]
for (const [name, bytes, code] of refused) {
  test(`${name} is refused`, () => {
    const reader = new FrameReader({ maxFrameBytes: () => 100 })
    reader.push(bytes)
    assert.throws(() => reader.next(), { code })
  })
}

fuzzBytes('kafka frames', [frameOf(Buffer.alloc(20)), ...refused.map(([, bytes]) => bytes)], (input) => {
  const reader = new FrameReader({ maxFrameBytes: () => 1000 })
  reader.push(input)
  while (reader.next()) continue
})
