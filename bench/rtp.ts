/** RTP in and out, without sockets: `node bench/rtp.ts`. A stream is 4 Mbit/s at 25 frames/s in payloads of 1200 bytes, 435 packets/s. */
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { packetAt, withChannel } from '#formats/rtp/batch.ts'
import { RtpPacketizer } from '#formats/rtp/packetizer.ts'
import { describeTrack } from '#formats/rtp/track-description.ts'
import { systemClock } from '#lib/clock.ts'
import { RtpReceiver } from '#live/ingest/rtp-receiver.ts'

const unitBytes = 20_000
const unitsPerRound = 1_000
const rounds = 12
const streams = 100

const h264Track: Track = {
  id: 0,
  kind: 'video',
  clockRateHz: 90_000,
  parameters: {
    codec: 'h264',
    sps: Buffer.from('6764000aacd9447b011000000300100000030320f1225960', 'hex'),
    pps: Buffer.from('68ebe04d2c8b', 'hex'),
  },
}
const aacTrack: Track = {
  id: 0,
  kind: 'audio',
  clockRateHz: 48_000,
  parameters: { codec: 'aac', config: Buffer.from('1190', 'hex'), sampleRateHz: 48_000, channelCount: 2 },
}

type Row = { task: string; 'µs/packet': string; 'µs/unit': string; 'units/s': number; '100 streams, % of a core': string }

const rows: Row[] = []
for (const track of [h264Track, aacTrack]) {
  const units = Array.from({ length: unitsPerRound }, (_, at) => unitOf(track, at))
  const batches = units.map((unit, at) => packetizer(track, at).packetize(unit))
  const perUnit = batches.reduce((sum, batch) => sum + batch.offsets.length, 0) / units.length
  const out = packetizer(track, 0)
  for (const isReordering of [false, true]) {
    measure(track, `ingest, ${isReordering ? 'UDP' : 'interleaved'}`, perUnit, () => {
      const receiver = receiverOf(track, isReordering)
      for (const batch of batches) for (let at = 0; at < batch.offsets.length; at++) receiver.rtp(0, packetAt(batch, at), 0)
    })
  }
  measure(track, 'packetize', perUnit, () => units.forEach((unit) => out.packetize(unit)))
  measure(track, 'other channel', perUnit, () => batches.forEach((batch) => withChannel(batch, 2)))
}
console.table(rows)

/** The fastest of some rounds: the box is shared. */
function measure(track: Track, task: string, packetsPerUnit: number, round: () => void): void {
  let fastestMs = Infinity
  for (let i = 0; i < rounds; i++) {
    const startMs = performance.now()
    round()
    fastestMs = Math.min(fastestMs, performance.now() - startMs)
  }
  const unitUs = (fastestMs * 1000) / unitsPerRound
  const unitsPerSecond = track.kind === 'audio' ? 48_000 / 1024 : 25
  rows.push({
    task: `${track.parameters.codec}: ${task}`,
    'µs/packet': (unitUs / packetsPerUnit).toFixed(2),
    'µs/unit': unitUs.toFixed(1),
    'units/s': Math.round(1e6 / unitUs),
    '100 streams, % of a core': ((unitUs * unitsPerSecond * streams) / 1e4).toFixed(1),
  })
}

function unitOf(track: Track, at: number): AccessUnit {
  const isKeyframe = track.kind === 'audio' || at % 50 === 0
  const data = Buffer.alloc(track.kind === 'audio' ? 340 : unitBytes)
  for (let i = 0; i < data.length; i++) data[i] = ((i * 7919 + at) % 255) + 1
  if (track.kind === 'video') {
    data.writeUInt32BE(unitBytes - 4)
    data.writeUInt16BE(isKeyframe ? 0x6588 : 0x4188, 4)
  }
  const ticks = at * (track.kind === 'audio' ? 1024 : 3600)
  return { track, ptsTicks: ticks, dtsTicks: ticks, ntpMs: 0, isKeyframe, data }
}

/** Goes on where the packets of the units before have ended. */
function packetizer(track: Track, at: number): RtpPacketizer {
  const firstSequenceNumber = track.kind === 'audio' ? at : at * 17 + Math.ceil(at / 50) * 2
  const options = { payloadType: 96, ssrc: 1, maxPayloadBytes: 1200, timestampOffset: 0 }
  return new RtpPacketizer({ ...options, track, firstSequenceNumber: firstSequenceNumber & 0xffff })
}

function receiverOf(track: Track, isReordering: boolean): RtpReceiver {
  let units = 0
  const onUnit = (): void => {
    units += 1
  }
  const onLoss = (packets: number): void => {
    throw new Error(`${packets} packets lost after ${units} units: the benchmark is wrong`)
  }
  return new RtpReceiver({
    tracks: [describeTrack(track, 96)],
    clock: systemClock,
    isReordering,
    onTracks: () => {},
    onUnit,
    onLoss,
  })
}
