import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { parseRtcp, writeBye, writeReceiverReport, writeSenderReport, type ReportBlock, type RtcpPacket } from './rtcp-packet.ts'

const ntpMs = Date.UTC(2026, 0, 2, 3, 4, 5, 250)
const report: ReportBlock = {
  ssrc: 0xdeadbeef,
  fractionLost: 12,
  cumulativeLost: -3,
  highestSequence: 0x1_fff0,
  jitterTicks: 90,
  lastSenderReport: 0x1234_4000,
  delaySinceLastSenderReport: 65_536,
}

const cases: [name: string, bytes: Buffer, hex: string, packets: RtcpPacket[]][] = [
  [
    'sender report',
    writeSenderReport({
      ssrc: 0x01020304,
      ntpMs,
      rtpTimestamp: 0xfffffff0,
      packetCount: 7,
      payloadBytes: 2 ** 32 + 900,
      cname: 'abc',
    }),
    '80c8000601020304ed01b42540000000fffffff0000000070000038481ca0003010203040103616263000000',
    [
      {
        kind: 'sender-report',
        ssrc: 0x01020304,
        ntp: { ms: ntpMs, middle: 0xb4254000 },
        rtpTimestamp: 0xfffffff0,
        packetCount: 7,
        payloadBytes: 900,
        reports: [],
      },
      { kind: 'source-description', chunks: [{ ssrc: 0x01020304, cname: 'abc' }] },
    ],
  ],
  [
    'receiver report',
    writeReceiverReport({ ssrc: 5, cname: 'ab', reports: [report] }),
    '81c9000700000005deadbeef0cfffffd0001fff00000005a123440000001000081ca0003000000050102616200000000',
    [
      { kind: 'receiver-report', ssrc: 5, reports: [report] },
      { kind: 'source-description', chunks: [{ ssrc: 5, cname: 'ab' }] },
    ],
  ],
  [
    'bye',
    writeBye(5),
    '80c900010000000581cb000100000005',
    [
      { kind: 'receiver-report', ssrc: 5, reports: [] },
      { kind: 'bye', ssrcs: [5] },
    ],
  ],
]

for (const [name, bytes, hex, packets] of cases) {
  test(`RTCP: ${name}`, () => {
    assert.equal(bytes.toString('hex'), hex)
    assert.deepEqual(parseRtcp(bytes), packets)
  })
}

test('packets of other types are left out, a reason is read', () => {
  const transportFeedback = '81cd0003000000010000000200000000'
  const bye = '81cb00020000000503627965'
  assert.deepEqual(parseRtcp(Buffer.from(transportFeedback + bye, 'hex')), [{ kind: 'bye', ssrcs: [5], reason: 'bye' }])
})

test('times after the wrap of NTP seconds in 2036 are read', () => {
  const lateMs = Date.UTC(2040, 5, 1)
  const [packet] = parseRtcp(
    writeSenderReport({ ssrc: 1, ntpMs: lateMs, rtpTimestamp: 0, packetCount: 0, payloadBytes: 0, cname: '' }),
  )
  assert.ok(packet?.kind === 'sender-report')
  assert.equal(packet.ntp.ms, lateMs)
})

const refused: [name: string, hex: string, code: string][] = [
  ['another version', '40c9000100000005', 'MALFORMED'],
  ['longer than announced', '80c9000200000005', 'TRUNCATED'],
  ['reports missing', '82c9000100000005', 'TRUNCATED'],
  ['text longer than the chunk', '81ca0002000000050109616200', 'TRUNCATED'],
]

for (const [name, hex, code] of refused) {
  test(`RTCP is refused: ${name}`, () => {
    assert.throws(
      () => parseRtcp(Buffer.from(hex, 'hex')),
      (error) => error instanceof AppError && error.code === code,
    )
  })
}

fuzzBytes(
  'parseRtcp',
  cases.map(([, bytes]) => bytes),
  parseRtcp,
)
