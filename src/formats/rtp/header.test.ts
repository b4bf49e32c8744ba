import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { RtpHeader, writeRtpHeader } from './header.ts'
import { sequenceDelta, timestampDelta, wrapTimestamp } from './serial.ts'

const plain = { payloadType: 96, isMarked: true, sequenceNumber: 0xfffe, timestamp: 0xfffffff0, ssrc: 0x01020304 }
const cases: [name: string, hex: string, payload: string][] = [
  ['plain', '80e0fffefffffff001020304 aabb', 'aabb'],
  ['no payload', '80e0fffefffffff001020304', ''],
  ['contributing sources', '82e0fffefffffff001020304 0000000100000002 aabb', 'aabb'],
  ['extension', '90e0fffefffffff001020304 bede000100000000 aabb', 'aabb'],
  ['empty extension', '90e0fffefffffff001020304 bede0000 aabb', 'aabb'],
  ['padding', 'a0e0fffefffffff001020304 aabb 000003', 'aabb'],
  ['padding alone', 'a0e0fffefffffff001020304 000003', ''],
  ['everything', 'b1e0fffefffffff001020304 00000001 bede000100000000 aabb 01', 'aabb'],
]

for (const [name, hex, payload] of cases) {
  test(`RTP header: ${name}`, () => {
    const packet = fromHex(hex)
    const header = new RtpHeader()
    assert.equal(header.read(packet), undefined)
    const { payloadStart, payloadEnd, ...fields } = header
    assert.deepEqual(fields, plain)
    assert.equal(packet.toString('hex', payloadStart, payloadEnd), payload)
  })
}

const refused: [name: string, hex: string, problem: string][] = [
  ['empty', '', 'rtp-truncated'],
  ['short', '80e0fffefffffff0010203', 'rtp-truncated'],
  ['another version', '40e0fffefffffff001020304', 'rtp-version'],
  ['contributing sources missing', '82e0fffefffffff001020304 00000001', 'rtp-truncated'],
  ['extension missing', '90e0fffefffffff001020304 bede', 'rtp-truncated'],
  ['extension too long', '90e0fffefffffff001020304 bede0002 00000000', 'rtp-truncated'],
  ['padding of 0', 'a0e0fffefffffff001020304 aa00', 'rtp-padding'],
  ['padding too long', 'a0e0fffefffffff001020304 aa03', 'rtp-padding'],
]

for (const [name, hex, problem] of refused) {
  test(`RTP header is refused: ${name}`, () => assert.equal(new RtpHeader().read(fromHex(hex)), problem))
}

test('a header is written as it is read', () => {
  const header = Object.assign(new RtpHeader(), plain)
  const bytes = Buffer.alloc(14)
  writeRtpHeader(header, bytes, 2)
  assert.equal(bytes.toString('hex'), '000080e0fffefffffff001020304')
})

test('serial numbers wrap', () => {
  assert.equal(timestampDelta(0xfffffff0, 0x10), 0x20)
  assert.equal(timestampDelta(0x10, 0xfffffff0), -0x20)
  assert.equal(sequenceDelta(0xffff, 1), 2)
  assert.equal(sequenceDelta(1, 0xffff), 0xfffe)
  assert.equal(wrapTimestamp(2 ** 33 + 5), 5)
  assert.equal(wrapTimestamp(-1), 0xffffffff)
})

function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

fuzzBytes(
  'RtpHeader.read',
  cases.map(([, hex]) => fromHex(hex)),
  (packet) => {
    const header = new RtpHeader()
    if (header.read(packet)) return
    assert.ok(header.payloadStart <= header.payloadEnd && header.payloadEnd <= packet.length)
  },
)
