import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { CodecParameters, Track } from '#formats/media/track.ts'
import { AppError } from '#lib/errors.ts'
import { packetAt, withChannel, type RtpBatch } from './batch.ts'
import { RtpHeader } from './header.ts'
import { RtpPacketizer } from './packetizer.ts'
import { describeTrack, toTrack } from './track-description.ts'

const h264 = { codec: 'h264', sps: Buffer.from('6764', 'hex'), pps: Buffer.from('68eb', 'hex') } as const
const h265 = {
  codec: 'h265',
  vps: Buffer.from('4001', 'hex'),
  sps: Buffer.from('4201', 'hex'),
  pps: Buffer.from('4401', 'hex'),
} as const
const aac = { codec: 'aac', config: Buffer.from('1190', 'hex'), sampleRateHz: 48_000, channelCount: 2 } as const
const opus = { codec: 'opus', channelCount: 2 } as const
const pcma = { codec: 'pcma', sampleRateHz: 8_000, channelCount: 2 } as const

/** A packet as `sequence timestamp[m] payload`, `m` for the marker. */
const cases: [name: string, unit: AccessUnit, packets: string[]][] = [
  ['H.264: a picture', unitOf(h264, '000000034188aa'), ['65535 4294967295m 4188aa']],
  [
    'H.264: parameter sets go before a keyframe',
    unitOf(h264, '000000036588aa000000026508', { isKeyframe: true }),
    ['65535 4294967295 6764', '0 4294967295 68eb', '1 4294967295 6588aa', '2 4294967295m 6508'],
  ],
  [
    'H.264: fragments',
    unitOf(h264, `0000008041${'aa'.repeat(127)}`),
    [`65535 4294967295 5c81${'aa'.repeat(62)}`, `0 4294967295 5c01${'aa'.repeat(62)}`, `1 4294967295m 5c41${'aa'.repeat(3)}`],
  ],
  ['H.264: exactly one packet', unitOf(h264, `0000004041${'aa'.repeat(63)}`), [`65535 4294967295m 41${'aa'.repeat(63)}`]],
  [
    'H.265: parameter sets go before a keyframe',
    unitOf(h265, '000000042801afaa', { isKeyframe: true }),
    ['65535 4294967295 4001', '0 4294967295 4201', '1 4294967295 4401', '2 4294967295m 2801afaa'],
  ],
  [
    'H.265: fragments',
    unitOf(h265, `0000004f0201${'aa'.repeat(77)}`),
    [`65535 4294967295 620181${'aa'.repeat(61)}`, `0 4294967295m 620141${'aa'.repeat(16)}`],
  ],
  ['AAC: one frame', unitOf(aac, 'aabbcc'), ['65535 4294967295m 00100018aabbcc']],
  ['AAC: fragments', unitOf(aac, 'aa'.repeat(61)), [`65535 4294967295 001001e8${'aa'.repeat(60)}`, '0 4294967295m 001001e8aa']],
  ['AAC: a frame that its header cannot describe', unitOf(aac, 'aa'.repeat(8192)), []],
  ['Opus: never cut', unitOf(opus, 'aa'.repeat(65)), [`65535 4294967295 ${'aa'.repeat(65)}`]],
  ['G.711: cut between samples', unitOf(pcma, 'aa'.repeat(66)), [`65535 4294967295 ${'aa'.repeat(64)}`, '0 31 aaaa']],
  ['no data', unitOf(h264, ''), []],
]

for (const [name, unit, packets] of cases) {
  test(name, () => {
    const packetizer = packetizerFor(unit.track)
    const batch = packetizer.packetize(unit)
    assert.deepEqual(shown(batch), packets)
    assert.equal(packetizer.packetCount, packets.length)
    assert.equal(packetizer.payloadBytes, batch.bytes.length - packets.length * 16)
    assert.equal(packetizer.nextSequenceNumber, (65_535 + packets.length) & 0xffff)
    assertInterleaved(batch, 0)
  })
}

test('a batch for another channel differs in the channel only', () => {
  const batch = packetizerFor(unitOf(h264, '').track).packetize(unitOf(h264, `0000008041${'aa'.repeat(127)}`), 2)
  const before = Buffer.from(batch.bytes)
  const other = withChannel(batch, 6)
  assertInterleaved(batch, 2)
  assertInterleaved(other, 6)
  assert.deepEqual(shown(other), shown(batch))
  assert.deepEqual(batch.bytes, before)
})

test('the timestamp of a batch is the unit’s, wrapped', () => {
  const packetizer = packetizerFor(unitOf(opus, '').track)
  assert.equal(packetizer.packetize(unitOf(opus, 'aa', { ptsTicks: 2 ** 32 + 5 })).rtpTimestamp, 4)
  assert.equal(packetizer.packetize(unitOf(opus, 'aa', { ptsTicks: -3 })).rtpTimestamp, 2 ** 32 - 4)
})

test('payload sizes that cannot work are refused', () => {
  for (const maxPayloadBytes of [0, 63, 65_524]) {
    assert.throws(
      () => new RtpPacketizer({ ...options, track: unitOf(opus, '').track, maxPayloadBytes }),
      (error) => error instanceof AppError && error.code === 'UNSUPPORTED',
    )
  }
})

test('a described track is the same track', () => {
  for (const parameters of [h264, h265, aac, opus, pcma]) {
    const { track } = unitOf(parameters, '')
    assert.deepEqual(toTrack(describeTrack(track, 97), track.id), track)
  }
  assert.equal(toTrack({ kind: 'video', payloadType: 96, clockRateHz: 90_000, parameters: { codec: 'h264' } }, 0), undefined)
})

const options = { payloadType: 96, ssrc: 7, firstSequenceNumber: 65_535, timestampOffset: 2 ** 32 - 1 }

function packetizerFor(track: Track): RtpPacketizer {
  return new RtpPacketizer({ ...options, track, maxPayloadBytes: 64 })
}

function unitOf(parameters: CodecParameters, hex: string, { isKeyframe = false, ptsTicks = 0 } = {}): AccessUnit {
  const isVideo = parameters.codec === 'h264' || parameters.codec === 'h265'
  const track: Track = { id: 3, kind: isVideo ? 'video' : 'audio', clockRateHz: isVideo ? 90_000 : 48_000, parameters }
  return { track, ptsTicks, dtsTicks: ptsTicks, ntpMs: 0, isKeyframe, data: Buffer.from(hex, 'hex') }
}

function shown(batch: RtpBatch): string[] {
  const header = new RtpHeader()
  return batch.offsets.map((_, index) => {
    const packet = packetAt(batch, index)
    assert.equal(header.read(packet), undefined)
    assert.equal(header.ssrc, options.ssrc)
    assert.equal(header.payloadType, options.payloadType)
    const { sequenceNumber, timestamp, isMarked, payloadStart } = header
    return `${sequenceNumber} ${timestamp}${isMarked ? 'm' : ''} ${packet.toString('hex', payloadStart)}`
  })
}

function assertInterleaved(batch: RtpBatch, channel: number): void {
  let at = 0
  for (const offset of batch.offsets) {
    assert.equal(offset, at)
    assert.deepEqual([...batch.bytes.subarray(at, at + 2)], [0x24, channel])
    at += 4 + batch.bytes.readUInt16BE(at + 2)
  }
  assert.equal(at, batch.bytes.length)
}
