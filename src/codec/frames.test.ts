import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fuzzBytes } from '../../test/support/fuzz.ts'
import { encodeFrame, FrameDecoder, frameLimits } from './frames.ts'

const cases: [name: string, header: unknown, payload: Buffer][] = [
  ['an empty object', {}, Buffer.alloc(0)],
  ['a request', { kind: 'request', id: 1, method: 'publish', params: { url: 'rtsp://h/ä' } }, Buffer.alloc(0)],
  ['a payload', { kind: 'result', id: 2, value: null }, Buffer.from([0, 1, 2, 255])],
  ['a bare number', 7, Buffer.alloc(1)],
]

for (const [name, header, payload] of cases) {
  test(`${name} comes back as it was`, () => {
    assert.deepEqual(new FrameDecoder().push(encodeFrame(header, payload)), [{ header, payload }])
  })
}

test('messages come whole, however the pipe cuts them', () => {
  const bytes = Buffer.concat(cases.map(([, header, payload]) => encodeFrame(header, payload)))
  fc.assert(
    fc.property(fc.array(fc.nat({ max: bytes.length }), { maxLength: 20 }), (cuts) => {
      const decoder = new FrameDecoder()
      const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
      const messages = edges.slice(1).flatMap((end, index) => decoder.push(bytes.subarray(edges[index], end)))
      assert.deepEqual(
        messages,
        cases.map(([, header, payload]) => ({ header, payload })),
      )
    }),
  )
})

test('a length above the limit is refused before the bytes come', () => {
  const prefix = Buffer.alloc(8)
  prefix.writeUInt32BE(frameLimits.headerBytes + 1)
  assert.throws(() => new FrameDecoder().push(prefix), { code: 'LIMIT_EXCEEDED' })
  assert.throws(() => encodeFrame({}, Buffer.alloc(frameLimits.payloadBytes + 1)), { code: 'LIMIT_EXCEEDED' })
})

test('a header that is not JSON is refused', () => {
  const bytes = encodeFrame({ kind: 'alive' })
  bytes[8] = 0x21
  assert.throws(() => new FrameDecoder().push(bytes), { code: 'MALFORMED' })
})

fuzzBytes(
  'codec messages',
  cases.map(([, header, payload]) => encodeFrame(header, payload)),
  (input) => new FrameDecoder().push(input),
)
