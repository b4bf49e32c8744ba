import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { h264Pyramid } from '#formats/h264/sample-streams.ts'
import { h265Pyramid } from '#formats/h265/sample-streams.ts'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { CodecParameters, Track } from '#formats/media/track.ts'
import { parseRtcp, writeSenderReport } from '#formats/rtcp/rtcp-packet.ts'
import { packetAt } from '#formats/rtp/batch.ts'
import { RtpPacketizer } from '#formats/rtp/packetizer.ts'
import { describeTrack, type RtpTrackDescription } from '#formats/rtp/track-description.ts'
import { ManualClock } from '#lib/clock.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { RtpReceiver } from './rtp-receiver.ts'
import { announceAfterMs } from './track-gate.ts'

const h264 = {
  codec: 'h264',
  sps: Buffer.from('6764000aacd9447b011000000300100000030320f1225960', 'hex'),
  pps: Buffer.from('68ebe04d2c8b', 'hex'),
} as const
const h265 = {
  codec: 'h265',
  vps: Buffer.from('40010c01ffff01600000030090000003000003001e959809', 'hex'),
  sps: Buffer.from('42010101600000030090000003000003001ea02083165959ae4caf016808000003000800000300c840', 'hex'),
  pps: Buffer.from('4401c173d089', 'hex'),
} as const
const aac = { codec: 'aac', config: Buffer.from('1190', 'hex'), sampleRateHz: 48_000, channelCount: 2 } as const
const video = trackOf(h264, 90_000)
const audio = trackOf(aac, 48_000)

const codecs: [track: Track, frameTicks: number][] = [
  [video, 3600],
  [trackOf(h265, 90_000), 3600],
  [audio, 1024],
  [trackOf({ codec: 'opus', channelCount: 2 }, 48_000), 960],
  [trackOf({ codec: 'pcma', sampleRateHz: 8_000, channelCount: 1 }, 8_000), 160],
  [trackOf({ codec: 'pcmu', sampleRateHz: 8_000, channelCount: 2 }, 8_000), 160],
]

for (const [track, frameTicks] of codecs) {
  const { codec } = track.parameters
  for (const maxPayloadBytes of [64, 1200, 60_000]) {
    test(`what is packetized comes back: ${codec}, ${maxPayloadBytes} bytes a packet, with sequence and timestamp wrapping`, () => {
      const sizes = [...Array.from({ length: 140 }, (_, at) => at + 1), 1199, 1200, 1201, 2398, 5000].filter(
        (size) => track.kind === 'video' || size <= (codec === 'aac' ? 5000 : 64),
      )
      const units = sizes.map((size, at) => unitOf(track, { ptsTicks: at * frameTicks, isKeyframe: at % 10 === 0, size }))
      const session = new Session([describeTrack(track, 96)])
      const packetizer = packetizerFor(track, { maxPayloadBytes, timestampOffset: 2 ** 32 - 20 * frameTicks })
      for (const unit of units) session.send(0, packetsOf(packetizer, unit))
      assert.deepEqual(session.announced, [[track]])
      assert.deepEqual(session.received, units.map(shown))
      assert.deepEqual(session.receiver.stats.problems, {})
      assert.equal(session.lost, 0)
    })
  }
}

for (const [name, stream, parameters] of [
  ['x264', h264Pyramid, h264],
  ['x265', h265Pyramid, h265],
] as const) {
  test(`a stream of ${name} with B-frames and in-band parameter sets gets the encoder's decode times`, () => {
    const track = trackOf(parameters, 90_000)
    const session = new Session([withoutSets(track)])
    const packetizer = packetizerFor(track, { maxPayloadBytes: 100 })
    for (const { ptsTicks, nals } of stream) {
      const slices = nals.filter(
        (nal) => !Object.values<unknown>(parameters).some((set) => set instanceof Buffer && set.equals(nal)),
      )
      const unit = {
        track,
        ptsTicks,
        dtsTicks: 0,
        ntpMs: 0,
        isKeyframe: slices.length < nals.length,
        data: lengthPrefixed(slices),
      }
      session.send(0, packetsOf(packetizer, unit))
    }
    assert.deepEqual(session.announced, [[track]])
    assert.deepEqual(
      session.units.map(({ ptsTicks, dtsTicks }) => [ptsTicks, dtsTicks]),
      stream.map(({ ptsTicks, dtsTicks }) => [ptsTicks, dtsTicks]),
    )
    assert.equal(session.receiver.stats.repairedTimestamps, 0)
  })
}

test('audio waits for the parameter sets of video, and follows the announcement', () => {
  const session = new Session([withoutSets(video), describeTrack(audio, 97)])
  const [videoOut, audioOut] = [packetizerFor(video), packetizerFor(audio, { payloadType: 97 })]
  session.send(1, packetsOf(audioOut, unitOf(audio, { ptsTicks: 0 })))
  session.send(0, packetsOf(videoOut, unitOf(video, { ptsTicks: 0 })))
  assert.deepEqual(session.announced, [])
  session.send(0, packetsOf(videoOut, unitOf(video, { ptsTicks: 3600, isKeyframe: true })))
  assert.deepEqual(session.announced, [[video, { ...audio, id: 1 }]])
  assert.deepEqual(
    session.units.map(({ track }) => track.id),
    [1, 0],
  )
  assert.equal(session.receiver.stats.droppedUnits, 1)
})

test('a video track without parameter sets is left out after a while', () => {
  const session = new Session([withoutSets(video), describeTrack(audio, 97)])
  const [videoOut, audioOut] = [packetizerFor(video), packetizerFor(audio, { payloadType: 97 })]
  session.send(1, packetsOf(audioOut, unitOf(audio, { ptsTicks: 0 })))
  session.clock.advance(announceAfterMs)
  session.send(1, packetsOf(audioOut, unitOf(audio, { ptsTicks: 96_000 })))
  assert.deepEqual(session.announced, [[{ ...audio, id: 1 }]])
  session.send(0, packetsOf(videoOut, unitOf(video, { ptsTicks: 0, isKeyframe: true })))
  assert.deepEqual(
    session.units.map(({ track }) => track.id),
    [1, 1],
  )
})

test('new parameter sets in the stream make a new track with the same id', () => {
  const larger = trackOf({ ...h264, sps: Buffer.from('67640028acd940780227e5c04400000fa40003a9803c60c658', 'hex') }, 90_000)
  const session = new Session([describeTrack(video, 96)])
  const packetizer = packetizerFor(video)
  for (const [at, track] of [video, larger, larger].entries()) {
    session.send(0, packetsOf(packetizer, unitOf(track, { ptsTicks: at * 3600, isKeyframe: true })))
  }
  const [first, second, third] = session.units
  assert.deepEqual(first?.track, video)
  assert.deepEqual(second?.track, larger)
  assert.equal(third?.track, second.track)
  assert.equal(session.announced.length, 1)
})

test('a lost packet costs its unit, over TCP at once and over UDP after waiting', () => {
  for (const isReordering of [false, true]) {
    const session = new Session([describeTrack(video, 96)], isReordering)
    const packetizer = packetizerFor(video, { maxPayloadBytes: 100 })
    const units = [0, 1, 2, 3].map((at) => unitOf(video, { ptsTicks: at * 3600, isKeyframe: at === 0, size: 350 }))
    for (const [at, unit] of units.entries()) {
      session.send(
        0,
        packetsOf(packetizer, unit).filter((_, packet) => at !== 1 || packet !== 2),
      )
      session.clock.advance(200)
    }
    assert.deepEqual(session.received, units.filter((_, at) => at !== 1).map(shown))
    assert.equal(session.lost, 1)
    assert.equal(session.receiver.stats.lostPackets, 1)
    assert.equal(session.receiver.stats.damagedUnits, 1)
  }
})

test('no loss of packets, wherever it is, lets a damaged unit through', () => {
  const packetizer = packetizerFor(video, { maxPayloadBytes: 100 })
  const units = Array.from({ length: 6 }, (_, at) => unitOf(video, { ptsTicks: at * 3600, isKeyframe: at === 0, size: 250 + at }))
  const packets = units.flatMap((unit) => packetsOf(packetizer, unit))
  const good = new Set(units.map(({ data }) => fingerprint(data)))
  for (let from = 0; from < packets.length; from++) {
    for (let count = 1; count <= 5; count++) {
      const session = new Session([describeTrack(video, 96)])
      session.send(0, [...packets.slice(0, from), ...packets.slice(from + count)])
      for (const { data } of session.units) assert.ok(good.has(fingerprint(data)), `${count} lost from ${from}`)
      assert.ok(session.units.length >= 3, `${count} lost from ${from}: ${session.units.length} units`)
    }
  }
})

test('packets that overtake each other over UDP are put in order', () => {
  const session = new Session([describeTrack(video, 96)], true)
  const packetizer = packetizerFor(video, { maxPayloadBytes: 100 })
  const units = Array.from({ length: 20 }, (_, at) => unitOf(video, { ptsTicks: at * 3600, isKeyframe: at === 0, size: 350 }))
  const packets = units.flatMap((unit) => packetsOf(packetizer, unit))
  session.send(0, packets.slice(0, 1))
  for (let at = 1; at < packets.length; at += 4) session.send(0, packets.slice(at, at + 4).toReversed())
  assert.deepEqual(session.received, units.map(shown))
  assert.equal(session.lost, 0)
})

test('another sender takes over once two of its packets came, and time goes on', () => {
  const session = new Session([describeTrack(video, 96)])
  session.send(0, packetsOf(packetizerFor(video, { ssrc: 1 }), unitOf(video, { ptsTicks: 0, isKeyframe: true })))
  session.clock.advance(40)
  const other = packetizerFor(video, { ssrc: 2, timestampOffset: 3_000_000_000, firstSequenceNumber: 900 })
  session.send(0, packetsOf(other, unitOf(video, { ptsTicks: 0 })))
  assert.equal(session.units.length, 1)
  for (const at of [1, 2]) session.send(0, packetsOf(other, unitOf(video, { ptsTicks: at * 3600 })))
  assert.deepEqual(
    session.units.map(({ ptsTicks }) => ptsTicks),
    [0, 3600, 7200],
  )
  assert.equal(session.receiver.stats.senderChanges, 1)
  assert.deepEqual(session.receiver.stats.problems, { ssrc: 1 })
})

test('timestamps that jump pass through, small steps back are evened out', () => {
  const session = new Session([describeTrack(audio, 96)])
  const packetizer = packetizerFor(audio)
  for (const ptsTicks of [0, 1024, 50_000_000, 50_001_024, 2048, 1500, 3072]) {
    session.send(0, packetsOf(packetizer, unitOf(audio, { ptsTicks })))
  }
  assert.deepEqual(
    session.units.map(({ ptsTicks, dtsTicks }) => [ptsTicks, dtsTicks]),
    [0, 1024, 50_000_000, 50_001_024, 2048, 2049, 3072].map((ticks) => [ticks, ticks]),
  )
  assert.equal(session.receiver.stats.repairedTimestamps, 1)
})

test('a receiver report says what arrived', () => {
  const session = new Session([describeTrack(audio, 96)])
  assert.equal(session.receiver.receiverReport(0), undefined)
  const packetizer = packetizerFor(audio, { ssrc: 77 })
  for (const at of [0, 1, 2, 3]) {
    const packets = packetsOf(packetizer, unitOf(audio, { ptsTicks: at * 1024 }))
    if (at !== 2) session.send(0, packets)
  }
  const ntpMs = session.clock.nowMs()
  session.receiver.rtcp(0, writeSenderReport({ ssrc: 77, ntpMs, rtpTimestamp: 0, packetCount: 4, payloadBytes: 0, cname: 'x' }))
  session.clock.advance(500)
  const [report, description] = parseRtcp(session.receiver.receiverReport(0) ?? Buffer.alloc(0))
  assert.ok(report?.kind === 'receiver-report' && description?.kind === 'source-description')
  const [block] = report.reports
  assert.equal(block?.ssrc, 77)
  assert.equal(block.fractionLost, 64)
  assert.equal(block.cumulativeLost, 1)
  assert.equal(block.delaySinceLastSenderReport, 32_768)
  assert.notEqual(block.lastSenderReport, 0)
})

test('what cannot be used is counted by reason and told as a loss', () => {
  const session = new Session([describeTrack(audio, 96)])
  const [packet] = packetsOf(packetizerFor(audio, { payloadType: 99 }), unitOf(audio, { ptsTicks: 0 }))
  session.receiver.rtp(0, Buffer.alloc(5))
  session.receiver.rtp(0, packet ?? Buffer.alloc(0))
  session.receiver.rtp(3, Buffer.alloc(5))
  session.receiver.rtcp(3, Buffer.alloc(5))
  session.receiver.rtcp(0, Buffer.alloc(5))
  const { problems, packets } = session.receiver.stats
  assert.deepEqual(problems, { 'rtp-truncated': 1, 'payload-type': 1, track: 2, rtcp: 1 })
  assert.equal(packets, 3)
  assert.equal(session.lost, 5)
  assert.deepEqual(session.announced, [])
})

test('after close nothing is handed on', () => {
  const session = new Session([describeTrack(audio, 96)])
  session.receiver.close()
  session.receiver.close()
  session.send(0, packetsOf(packetizerFor(audio), unitOf(audio, { ptsTicks: 0 })))
  assert.deepEqual(session.announced, [])
})

/** A receiver and what came out of it. */
class Session {
  readonly clock = new ManualClock()
  readonly announced: (readonly Track[])[] = []
  readonly units: AccessUnit[] = []
  lost = 0
  readonly receiver: RtpReceiver

  constructor(tracks: readonly RtpTrackDescription[], isReordering = false) {
    this.receiver = new RtpReceiver({
      tracks,
      clock: this.clock,
      isReordering,
      onTracks: (announced) => this.announced.push(announced),
      onUnit: (unit) => this.units.push(unit),
      onLoss: (packets) => {
        this.lost += packets
      },
    })
  }

  get received(): string[] {
    return this.units.map(shown)
  }

  send(trackIndex: number, packets: readonly Buffer[]): void {
    for (const packet of packets) this.receiver.rtp(trackIndex, packet)
  }
}

function shown({ track, ptsTicks, isKeyframe, data }: AccessUnit): string {
  return `${track.parameters.codec} ${ptsTicks} ${isKeyframe} ${fingerprint(data)}`
}

/** Short, so that a failure can be read. */
function fingerprint(data: Buffer): string {
  return `${data.length} bytes ${createHash('sha1').update(data).digest('hex').slice(0, 8)}`
}

function trackOf(parameters: CodecParameters, clockRateHz: number): Track {
  const isVideo = parameters.codec === 'h264' || parameters.codec === 'h265'
  return { id: 0, kind: isVideo ? 'video' : 'audio', clockRateHz, parameters }
}

function withoutSets(track: Track): RtpTrackDescription {
  const { codec } = track.parameters
  const parameters = codec === 'h265' ? { codec, hasDonl: false } : ({ codec: 'h264' } as const)
  return { kind: 'video', payloadType: 96, clockRateHz: track.clockRateHz, parameters }
}

/** A unit of `size` bytes, for video in one slice that begins a picture, without emulated start codes. */
function unitOf(track: Track, options: { ptsTicks: number; isKeyframe?: boolean; size?: number }): AccessUnit {
  const { ptsTicks, isKeyframe = false, size = 20 } = options
  const payload = Buffer.from(Array.from({ length: size }, (_, at) => (at % 250) + 1))
  const unit = { track, ptsTicks, dtsTicks: ptsTicks, ntpMs: 0 }
  if (track.kind === 'audio') return { ...unit, isKeyframe: true, data: payload }
  const nalHeader = track.parameters.codec === 'h264' ? [isKeyframe ? 0x65 : 0x41, 0x88] : [isKeyframe ? 0x28 : 0x02, 0x01, 0x88]
  return { ...unit, isKeyframe, data: lengthPrefixed([Buffer.concat([Buffer.from(nalHeader), payload])]) }
}

function lengthPrefixed(nals: readonly Buffer[]): Buffer {
  return Buffer.concat(
    nals.flatMap((nal) => {
      const prefix = Buffer.alloc(4)
      prefix.writeUInt32BE(nal.length)
      return [prefix, nal]
    }),
  )
}

function packetizerFor(track: Track, options: Partial<ConstructorParameters<typeof RtpPacketizer>[0]> = {}): RtpPacketizer {
  const defaults = { payloadType: 96, ssrc: 1, maxPayloadBytes: 1200, firstSequenceNumber: 65_530, timestampOffset: 12_345 }
  return new RtpPacketizer({ ...defaults, track, ...options })
}

function packetsOf(packetizer: RtpPacketizer, unit: AccessUnit): Buffer[] {
  const batch = packetizer.packetize(unit)
  return batch.offsets.map((_, index) => packetAt(batch, index))
}

const fuzzTracks = codecs.map(([track]) => describeTrack(track, 96))
const fuzzPackets = codecs.flatMap(([track]) => packetsOf(packetizerFor(track), unitOf(track, { ptsTicks: 0, isKeyframe: true })))
for (const isReordering of [false, true]) {
  fuzzBytes(`RtpReceiver, reordering ${isReordering}`, fuzzPackets, (input) => {
    const { receiver, clock } = new Session(fuzzTracks, isReordering)
    for (const [at] of fuzzTracks.entries()) {
      for (const packet of [...fuzzPackets, input, ...fuzzPackets, input]) receiver.rtp(at, packet)
      receiver.rtcp(at, input)
      clock.advance(150)
      receiver.rtp(at, input)
      receiver.receiverReport(at)
    }
  })
}
