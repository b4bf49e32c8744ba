import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { audioTrack, h264Parameters, unitAt, video, videoTrack } from '../../../test/support/media.ts'
import { Collector, packageAll } from './collector.fixture.ts'
import { Packager } from './packager.ts'

const settings = { partMilliseconds: 200, segmentSeconds: 1 }
const otherVideo: Track = { ...videoTrack, parameters: { ...h264Parameters, pps: Buffer.from('68ebe3cb22c1', 'hex') } }
const alawTrack: Track = {
  id: 3,
  kind: 'audio',
  clockRateHz: 8000,
  parameters: { codec: 'pcma', sampleRateHz: 8000, channelCount: 1 },
}

/** AAC frames from one time to another. */
function* sound(fromMs: number, toMs: number, track = audioTrack): Generator<AccessUnit> {
  const frameMs = (1024 * 1000) / track.clockRateHz
  for (let i = 0; fromMs + i * frameMs < toMs; i++) yield unitAt(fromMs + i * frameMs, { track, sizeBytes: 20 })
}

/** Units of several tracks in the order of their times. */
function merge(...lists: Iterable<AccessUnit>[]): AccessUnit[] {
  const all = lists.flatMap((list) => [...list])
  return all.sort((a, b) => a.dtsTicks / a.track.clockRateHz - b.dtsTicks / b.track.clockRateHz)
}

test('segments start at keyframes and have parts of the target duration', () => {
  const { packager, collector } = packageAll([videoTrack], video({ fromMs: 10_000, frames: 75 }))
  assert.deepEqual(
    collector.segments.map((segment) => [
      segment.sequence,
      segment.startMs,
      segment.durationMs,
      segment.isDiscontinuity,
      segment.ntpMs,
    ]),
    [
      [0, 10_000, 1000, false, 10_000],
      [1, 11_000, 1000, false, 11_000],
      [2, 12_000, 1000, false, 12_000],
    ],
  )
  for (const segment of collector.segments) {
    assert.deepEqual(
      segment.parts.map((part) => [part.index, part.durationMs, part.isIndependent]),
      [0, 1, 2, 3, 4].map((index) => [index, 200, index === 0]),
    )
  }
  assert.equal(packager.partTargetMs, 216)
  assert.equal(packager.framesPerSecond, 25)
  assert.equal(collector.endedCount, 1)
  assert.equal(new Set(collector.segments.map((segment) => segment.init)).size, 1)
})

test('a segment shorter than configured goes on over keyframes, and a keyframe may start a part', () => {
  const { collector } = packageAll([videoTrack], video({ frames: 50, gop: 10 }))
  assert.deepEqual(
    collector.segments.map((segment) => segment.durationMs),
    [1200, 800],
  )
  const starts = collector.parts.filter((part) => part.isIndependent).map((part) => part.startMs)
  assert.deepEqual(starts, [0, 400, 800, 1200, 1600])
})

for (const framesPerSecond of [60, 50, 30, 29.97, 25, 24, 23.976, 20, 15, 12.5, 10, 8, 6, 5, 3, 2, 1]) {
  for (const jitter of [0, 0.05]) {
    test(`parts keep to the target at ${framesPerSecond} fps${jitter ? ' with jitter' : ''}`, () => {
      const frameMs = 1000 / framesPerSecond
      const units = Array.from({ length: Math.ceil(framesPerSecond * 20) }, (_, i) =>
        unitAt((i + (i % 3) * jitter * 0.5) * frameMs, { isKeyframe: i % Math.ceil(framesPerSecond * 2) === 0 }),
      )
      const { packager, collector } = packageAll([videoTrack], units)
      for (const segment of collector.segments) {
        for (const part of segment.parts) {
          const isLast = part === segment.parts.at(-1)
          assert.ok(part.durationMs <= packager.partTargetMs, `${part.durationMs} ms, target ${packager.partTargetMs}`)
          assert.ok(
            isLast || part.durationMs >= 0.85 * packager.partTargetMs,
            `${part.durationMs} ms, target ${packager.partTargetMs}`,
          )
        }
      }
      assert.equal(packager.stats.longParts, 0)
      if (framesPerSecond >= 15) assert.ok(packager.partTargetMs <= 226)
    })
  }
}

test('sound starts with the first keyframe, and a part has the sound that starts before its end', () => {
  const units = merge(video({ fromMs: 1000, frames: 50 }), sound(500, 3000))
  const { packager, collector } = packageAll([videoTrack, audioTrack], units)
  const [first] = collector.runs(2)
  assert.ok(first && first.run.decodeTicks >= 48_000 && first.run.decodeTicks < 48_000 + 1024)
  for (const { part, run } of collector.runs(2).slice(0, -1)) {
    const lastStart = run.decodeTicks + run.samples.slice(0, -1).reduce((sum, sample) => sum + sample.durationTicks, 0)
    assert.ok((lastStart * 1000) / 48_000 < part.startMs + part.durationMs)
  }
  const all = collector.samples(2)
  for (const [i, sample] of all.entries()) assert.equal(sample.decodeTicks, (all[0]?.decodeTicks ?? 0) + i * 1024)
  assert.equal(all.length + packager.stats.droppedUnits, units.filter((unit) => unit.track === audioTrack).length)
})

test('the first video track leads wherever it stands; initialization and parts have the same order', () => {
  const { collector } = packageAll([audioTrack, videoTrack], merge(video({ frames: 25 }), sound(0, 1000)))
  const inits = collector.segments.map(({ init }) => ({ kinds: init.tracks.map((track) => track.kind), codecs: init.codecs }))
  assert.deepEqual(inits, [{ kinds: ['video', 'audio'], codecs: 'avc1.64000d,mp4a.40.2' }])
  assert.equal(collector.samples(1).length, 25)
})

test('sound alone is cut by time', () => {
  const { packager, collector } = packageAll([audioTrack], sound(0, 5000))
  assert.ok(collector.segments.slice(0, -1).every((segment) => segment.durationMs >= 1000 - 11 && segment.durationMs < 1022))
  assert.ok(collector.parts.every((part) => part.isIndependent && part.durationMs <= packager.partTargetMs))
  assert.equal(packager.framesPerSecond, undefined)
})

test('frames shown in another order than decoded keep both times', () => {
  const offsetsMs = [80, 200, 80, 0, 40]
  const units = Array.from({ length: 50 }, (_, i) =>
    unitAt(i * 40, { isKeyframe: i % 25 === 0, compositionMs: offsetsMs[i % 5] ?? 0 }),
  )
  const { collector } = packageAll([videoTrack], units)
  assert.deepEqual(
    collector.samples(1).map((sample) => [sample.decodeTicks, sample.ptsTicks]),
    units.map((unit) => [unit.dtsTicks, unit.ptsTicks]),
  )
})

test('decode times that stand still or go back are corrected, counted, and end nothing', () => {
  const times = [0, 40, 40, 40, 120, 100, 160, 200, -500, 240, 280]
  const units = times.map((ms, i) => unitAt(ms, { isKeyframe: i === 0 }))
  const { packager, collector } = packageAll([videoTrack], units)
  const decodeTicks = collector.samples(1).map((sample) => sample.decodeTicks)
  assert.deepEqual(decodeTicks, [0, 3600, 3601, 3602, 10_800, 10_801, 14_400, 18_000, 18_001, 21_600, 25_200])
  assert.equal(packager.stats.correctedUnits, 4)
  assert.equal(collector.segments.length, 1)
})

test('times before zero are corrected to zero, since a track fragment has none', () => {
  const { collector } = packageAll(
    [videoTrack],
    [unitAt(-80, { isKeyframe: true, compositionMs: 80 }), unitAt(-40), unitAt(0), unitAt(40)],
  )
  assert.deepEqual(
    collector.samples(1).map((sample) => sample.decodeTicks),
    [0, 1, 2, 3600],
  )
})

test('new parameters at a keyframe start an initialization segment and a discontinuity, and nothing is lost', () => {
  const units = merge(video({ frames: 30 }), video({ fromMs: 1200, frames: 30, track: otherVideo }), sound(0, 2400))
  const { packager, collector } = packageAll([videoTrack, audioTrack], units)
  assert.deepEqual(
    collector.segments.map((segment) => [segment.startMs, segment.durationMs, segment.init.id, segment.isDiscontinuity]),
    [
      [0, 1000, 1, false],
      [1000, 200, 1, false],
      [1200, 1000, 2, true],
      [2200, 200, 2, false],
    ],
  )
  assert.deepEqual(collector.segments[2]?.init.tracks, [otherVideo, audioTrack])
  assert.equal(collector.samples(1).length, 60)
  assert.equal(collector.samples(2).length, units.length - 60)
  assert.equal(packager.stats.droppedUnits, 0)
})

test('the same parameters in another object change nothing', () => {
  const copy: Track = { ...videoTrack, parameters: { ...h264Parameters, sps: Buffer.from(h264Parameters.sps) } }
  const { collector } = packageAll([videoTrack], [...video({ frames: 25 }), ...video({ fromMs: 1000, frames: 25, track: copy })])
  assert.deepEqual(
    collector.segments.map((segment) => segment.init.id),
    [1, 1],
  )
})

test('new parameters without a keyframe wait for one', () => {
  const late = [...video({ fromMs: 1000, frames: 50, track: otherVideo })].slice(10)
  const { packager, collector } = packageAll([videoTrack], [...video({ frames: 25 }), ...late])
  assert.deepEqual(
    collector.segments.map((segment) => [segment.startMs, segment.init.id]),
    [
      [0, 1],
      [2000, 2],
    ],
  )
  assert.equal(packager.stats.droppedUnits, 15)
})

test('sound with new parameters is kept until the next keyframe lets it in', () => {
  const mono: Track = {
    ...audioTrack,
    parameters: { codec: 'aac', config: Buffer.from('1188', 'hex'), sampleRateHz: 48_000, channelCount: 1 },
  }
  const units = merge(video({ frames: 75 }), sound(0, 1500), sound(1500, 3000, mono))
  const { packager, collector } = packageAll([videoTrack, audioTrack], units)
  assert.deepEqual(
    collector.segments.map((segment) => [segment.startMs, segment.init.id]),
    [
      [0, 1],
      [1000, 1],
      [2000, 2],
    ],
  )
  assert.equal(collector.samples(2).length + packager.stats.droppedUnits, units.length - 75)
  assert.ok(packager.stats.droppedUnits <= 1)
})

test('parameters that no decoder can use are left out', () => {
  const broken: Track = {
    ...videoTrack,
    parameters: { codec: 'h264', sps: Buffer.from('67', 'hex'), pps: Buffer.from('68', 'hex') },
  }
  const units = [
    ...video({ frames: 25 }),
    ...video({ fromMs: 1000, frames: 25, track: broken }),
    ...video({ fromMs: 2000, frames: 25 }),
  ]
  const { packager, collector } = packageAll([videoTrack], units)
  assert.equal(packager.stats.droppedUnits, 25)
  assert.equal(collector.samples(1).length, 50)
})

test('another set of tracks ends the segment and starts anew', () => {
  const packager = new Packager({ tracks: [videoTrack, audioTrack], settings })
  const collector = new Collector()
  packager.addListener(collector)
  for (const unit of merge(video({ frames: 10 }), sound(0, 400))) packager.write(unit)
  packager.tracksChanged([audioTrack])
  for (const unit of sound(400, 800)) packager.write(unit)
  packager.close()
  assert.deepEqual(
    collector.segments.map((segment) => [segment.init.codecs, segment.isDiscontinuity]),
    [
      ['avc1.64000d,mp4a.40.2', false],
      ['mp4a.40.2', true],
    ],
  )
  assert.equal(collector.segments[0]?.durationMs, 400)
})

test('a pause longer than two seconds, ended by a keyframe, is a discontinuity and no long frame', () => {
  const units = merge(video({ frames: 10 }), sound(0, 400), video({ fromMs: 8000, frames: 10 }), sound(7990, 8400))
  const { collector } = packageAll([videoTrack, audioTrack], units)
  assert.deepEqual(
    collector.segments.map((segment) => [segment.startMs, segment.durationMs, segment.isDiscontinuity, segment.init.id]),
    [
      [0, 400, false, 1],
      [8000, 400, true, 1],
    ],
  )
  const [, second] = collector.runs(2).filter(({ part }) => part.index === 0)
  assert.ok(second && second.run.decodeTicks >= 8000 * 48 && second.part.segmentSequence === 1)
})

test('a paused source is flushed at once', () => {
  const packager = new Packager({ tracks: [videoTrack], settings })
  const collector = new Collector()
  packager.addListener(collector)
  for (const unit of video({ frames: 7 })) packager.write(unit)
  packager.pause()
  assert.deepEqual(
    collector.segments.map((segment) => [segment.durationMs, segment.isComplete]),
    [[280, true]],
  )
  for (const unit of video({ fromMs: 280, frames: 7 })) packager.write(unit)
  packager.close()
  assert.deepEqual(
    collector.segments.map((segment) => segment.isDiscontinuity),
    [false, true],
  )
})

test('a stream that sends no more keyframes is cut all the same', () => {
  const { collector } = packageAll([videoTrack], video({ frames: 25 * 130, gop: 1_000_000 }))
  assert.deepEqual(
    collector.segments.map((segment) => segment.durationMs),
    [60_000, 60_000, 10_000],
  )
  assert.deepEqual(
    collector.segments.map((segment) => segment.parts[0]?.isIndependent),
    [true, false, false],
  )
})

test('sound that runs on while the picture stands still is kept for ten seconds, then dropped', () => {
  const { packager, collector } = packageAll([videoTrack, audioTrack], [...video({ frames: 10 }), ...sound(0, 60_000)])
  const keptMs = (collector.samples(2).length * 1024) / 48
  assert.ok(keptMs > 9000 && keptMs < 11_000)
  assert.ok(packager.stats.droppedUnits > 2000)
})

test('tracks can be left out', () => {
  const packager = new Packager({ tracks: [videoTrack, alawTrack], settings, accepts: (track) => track !== alawTrack })
  const collector = new Collector()
  packager.addListener(collector)
  for (const unit of video({ frames: 25 })) packager.write(unit)
  packager.write(unitAt(0, { track: alawTrack }))
  packager.close()
  assert.deepEqual(collector.segments[0]?.init.tracks, [videoTrack])
})

test('a listener that comes late hears of the open segment from its start', () => {
  const packager = new Packager({ tracks: [videoTrack], settings })
  for (const unit of video({ frames: 38 })) packager.write(unit)
  const late = new Collector()
  packager.addListener(late)
  assert.deepEqual([late.segments.map((segment) => segment.sequence), late.parts.map((part) => part.index)], [[1], [0, 1]])
  assert.equal(packager.hasListener(late), true)
  for (const unit of video({ fromMs: 1520, frames: 2 })) packager.write({ ...unit, isKeyframe: false })
  packager.removeListener(late)
  packager.close()
  packager.close()
  assert.equal(late.endedCount, 0)
})

test('access units without data or time are left out', () => {
  const broken = [
    { ...unitAt(40), data: Buffer.alloc(0) },
    { ...unitAt(40), dtsTicks: Number.NaN },
    { ...unitAt(40), ptsTicks: Infinity },
    { ...unitAt(40), ntpMs: Number.NaN },
  ]
  const { packager, collector } = packageAll([videoTrack], [unitAt(0, { isKeyframe: true }), ...broken, unitAt(80)])
  assert.equal(packager.stats.droppedUnits, 4)
  assert.equal(collector.samples(1).length, 2)
})
