import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { RtspFramer } from './framer.ts'
import { interleavedFrame } from './interleaved-frame.ts'
import { rtspLimits, writeRequest, writeResponse } from './message.ts'

/** A packet that passes for RTP: version 2. */
function packet(length: number, fill: number): Buffer {
  return Buffer.concat([Buffer.of(0x80), Buffer.alloc(length - 1, fill)])
}

/** Feeds the chunks, each overwritten after its turn, and writes down what came out. */
function run(chunks: readonly Buffer[]): { found: string[]; framer: RtspFramer } {
  const found: string[] = []
  const framer = new RtspFramer({
    interleaved: (channel, payload) => found.push(`$${channel}:${payload.toString('hex')}`),
    message: (message) => {
      found.push(
        message.kind === 'request'
          ? `${message.method} ${message.body.toString()}`
          : `${message.status} ${message.body.toString()}`,
      )
    },
  })
  for (const chunk of chunks) {
    const own = Buffer.from(chunk)
    framer.push(own)
    own.fill(0)
  }
  return { found, framer }
}

const announce = writeRequest({ method: 'ANNOUNCE', url: 'rtsp://h/s', headers: { CSeq: 1 }, body: 'v=0' })
const options = writeRequest({ method: 'OPTIONS', url: '*', headers: { CSeq: 2 } })
const ok = writeResponse({ status: 200, reason: 'OK', headers: { CSeq: 2 }, body: 'body' })
const a = packet(20, 0xaa)
const b = packet(40, 0xbb)
const mixed = Buffer.concat([
  announce,
  interleavedFrame(0, a),
  interleavedFrame(1, b),
  ok,
  Buffer.from('\r\n'),
  options,
  interleavedFrame(2, a),
])
const mixedFound = [
  'ANNOUNCE v=0',
  `$0:${a.toString('hex')}`,
  `$1:${b.toString('hex')}`,
  '200 body',
  'OPTIONS ',
  `$2:${a.toString('hex')}`,
]

for (const size of [1, 2, 3, 5, 7, 16, 33, 64, 100, 10_000]) {
  test(`packets and messages are told apart in chunks of ${size}`, () => {
    const chunks = Array.from({ length: Math.ceil(mixed.length / size) }, (_, i) => mixed.subarray(i * size, (i + 1) * size))
    const { found, framer } = run(chunks)
    assert.deepEqual(found, mixedFound)
    assert.equal(framer.stats.resyncs, 0)
  })
}

test('a whole packet within a chunk is not copied', () => {
  const chunk = interleavedFrame(0, a)
  let payload: Buffer | undefined
  new RtspFramer({ interleaved: (_channel, view) => (payload = view), message: () => {} }).push(chunk)
  assert.equal(payload?.buffer, chunk.buffer)
})

const garbage: [name: string, bytes: Buffer][] = [
  ['text', Buffer.from('garbage $ here $$ and $\u0001')],
  ['a packet whose beginning is lost', a.subarray(7)],
  ['a dollar with a channel that nobody uses', Buffer.concat([Buffer.of(0), interleavedFrame(99, a)])],
  ['a dollar with a length that leads nowhere', Buffer.concat([Buffer.of(0, 0x24, 0, 0, 9, 0x80), Buffer.alloc(30, 1)])],
]

for (const [name, bytes] of garbage) {
  for (const size of [1, 11, 1000]) {
    test(`${name} is skipped in chunks of ${size}`, () => {
      const all = Buffer.concat([options, interleavedFrame(0, a), bytes, interleavedFrame(0, b), interleavedFrame(1, a), ok])
      const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.subarray(i * size, (i + 1) * size))
      const { found, framer } = run(chunks)
      assert.deepEqual(found.slice(-2), [`$1:${a.toString('hex')}`, '200 body'])
      assert.ok(framer.stats.resyncs >= 1)
      assert.ok(framer.stats.skippedBytes > 0)
    })
  }
}

const hopeless: [name: string, chunks: Buffer[], code: ErrorCode][] = [
  ['a TLS greeting', [Buffer.of(0x16, 3, 1, 2, 0, 1, 0)], 'MALFORMED'],
  ['HTTP', [Buffer.from('GET / HTTP/1.1\r\n\r\n')], 'MALFORMED'],
  ['a head without end', [Buffer.from('OPTIONS * RTSP/1.0\r\n'), Buffer.alloc(rtspLimits.headBytes, 0x41)], 'LIMIT_EXCEEDED'],
  ['endless garbage', [options, ...Array.from({ length: 40 }, () => Buffer.alloc(10_000, 1))], 'MALFORMED'],
  [
    'garbage before every packet',
    [options, ...Array.from({ length: 12 }, () => Buffer.concat([Buffer.of(1), interleavedFrame(0, a)]))],
    'MALFORMED',
  ],
]

for (const [name, chunks, code] of hopeless) {
  test(`${name} is refused`, () => {
    assert.throws(
      () => run(chunks),
      (error) => error instanceof AppError && error.code === code,
    )
  })
}

fuzzBytes(
  'RTSP framer',
  [mixed, Buffer.concat([options, ...garbage.map(([, bytes]) => bytes), interleavedFrame(0, a)])],
  (input) => {
    const middle = Math.floor(input.length / 2)
    return run([input.subarray(0, middle), input.subarray(middle)])
  },
)
