import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { audioTrack, h264Parameters, videoTrack } from '../../../test/support/media.ts'
import { Collector } from './collector.fixture.ts'
import { Packager } from './packager.ts'

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env['MILLRACE_FUZZ_RUNS'] ?? 300)

const videoTracks = ['68ebe3cb22c0', '68ebe3cb22c1'].map((pps): Track => ({
  ...videoTrack,
  parameters: { ...h264Parameters, pps: Buffer.from(pps, 'hex') },
}))
const audioTracks = [1, 2].map((channelCount): Track => ({
  ...audioTrack,
  parameters: {
    codec: 'aac',
    config: Buffer.from(channelCount === 1 ? '1188' : '1190', 'hex'),
    sampleRateHz: 48_000,
    channelCount,
  },
}))

type UnitStep = { kind: 'unit'; isVideo: boolean; version: number; deltaMs: number; offsetMs: number; isKeyframe: boolean }
type Step = UnitStep | { kind: 'pause' } | { kind: 'tracks' }

const deltaMs = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(20, 33, 40, 41) },
  { weight: 2, arbitrary: fc.constantFrom(0, -40, 1, 250) },
  { weight: 1, arbitrary: fc.constantFrom(-5000, 3000, 100_000, 9_800_000) },
)
const unit = fc.record({
  kind: fc.constant<'unit'>('unit'),
  isVideo: fc.boolean(),
  version: fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
  deltaMs,
  offsetMs: fc.constantFrom(0, 0, 40, 80, -40),
  isKeyframe: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 2, arbitrary: fc.constant(true) }),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 60, arbitrary: unit },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'pause' }, { kind: 'tracks' }) },
)

/** The steps as access units, each with data of its own: its number. */
function run(steps: readonly Step[]): { packager: Packager; collector: Collector; written: number } {
  const packager = new Packager({
    tracks: [audioTracks[0] ?? audioTrack, videoTracks[0] ?? videoTrack],
    settings: { partMilliseconds: 200, segmentSeconds: 1 },
  })
  const collector = new Collector()
  packager.addListener(collector)
  const times = { video: 1000, audio: 1000 }
  let written = 0
  for (const one of steps) {
    if (one.kind === 'pause') packager.pause()
    else if (one.kind === 'tracks') packager.tracksChanged([audioTrack, videoTrack])
    else packager.write(makeUnit(one, times, written++))
  }
  packager.close()
  return { packager, collector, written }
}

function makeUnit(one: UnitStep, times: { video: number; audio: number }, number: number): AccessUnit {
  const kind = one.isVideo ? 'video' : 'audio'
  const track = (one.isVideo ? videoTracks : audioTracks)[one.version] ?? videoTrack
  const dtsTicks = (times[kind] * track.clockRateHz) / 1000
  times[kind] += one.deltaMs
  const data = Buffer.alloc(8)
  data.writeUInt32BE(4, 0)
  data.writeUInt32BE(number, 4)
  const ptsTicks = dtsTicks + (one.isVideo ? (one.offsetMs * track.clockRateHz) / 1000 : 0)
  return { track, dtsTicks, ptsTicks, ntpMs: times[kind], isKeyframe: !one.isVideo || one.isKeyframe, data }
}

function checkSamples(collector: Collector, trackId: number): number {
  const numbers = collector.samples(trackId).map((sample) => sample.data.readUInt32BE(4))
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
    'samples are in the order of their access units',
  )
  assert.equal(new Set(numbers).size, numbers.length, 'no sample is there twice')
  return numbers.length
}

function checkTimeline(collector: Collector, trackId: number, isLeading: boolean): void {
  let endTicks = 0
  for (const {
    part,
    run: { decodeTicks, samples },
  } of collector.runs(trackId)) {
    const isStart = part.index === 0 && collector.segments[part.segmentSequence]?.isDiscontinuity !== false
    const mayJump = isStart || !isLeading || endTicks === 0 || samples.length === 1
    assert.ok(decodeTicks >= endTicks, `decode time ${decodeTicks} after ${endTicks}`)
    assert.ok(mayJump || decodeTicks === endTicks, `decode time ${decodeTicks} instead of ${endTicks}`)
    endTicks = decodeTicks + samples.reduce((sum, sample) => sum + sample.durationTicks, 0)
    assert.ok(samples.every((sample) => sample.durationTicks >= 1 && sample.compositionOffsetTicks >= 0))
  }
}

test(`whatever comes in, parts are sound and each access unit is in one of them or counted as dropped (seed ${seed})`, () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 400, size: 'max' }), (steps) => {
      const { packager, collector, written } = run(steps)
      const stored = checkSamples(collector, 1) + checkSamples(collector, 2)
      assert.equal(stored + packager.stats.droppedUnits, written)
      checkTimeline(collector, 1, true)
      checkTimeline(collector, 2, false)
      for (const {
        part,
        run: { samples },
      } of collector.runs(1)) {
        assert.ok(
          part.durationMs <= packager.partTargetMs || samples.length === 1,
          `${part.durationMs} ms in ${samples.length} frames`,
        )
      }
      for (const [i, segment] of collector.segments.entries()) {
        const isForced = (collector.segments[i - 1]?.durationMs ?? 0) >= 60_000
        assert.ok(segment.isComplete && (isForced || segment.parts[0]?.isIndependent))
      }
    }),
    { seed, numRuns },
  )
})
