import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { audioTrack, unitAt } from '../../test/support/media.ts'
import { Timeline } from './timeline.ts'

const startMs = 10_000

/** Decode times in ms on the stream's timeline; `undefined` where the unit was left out. */
function run(timeline: Timeline, sourceMs: readonly number[], { frameMs = 40, fromArrivalMs = 0 } = {}): (number | undefined)[] {
  return sourceMs.map((ms, i) => {
    const stamp = timeline.map(unitAt(ms), 1, fromArrivalMs + i * frameMs)
    return stamp && stamp.dtsTicks / 90
  })
}

function started(): Timeline {
  const timeline = new Timeline()
  timeline.begin()
  return timeline
}

const cases: [string, number[], number[], number][] = [
  ['steady times keep their distance', [500, 540, 580], [0, 40, 80], 0],
  ['a single stray time hours ahead is put in line', [0, 40, 9_800_000, 120], [0, 40, 80, 120], 1],
  ['a single stray time hours back is put in line', [1e7, 1e7 + 40, 5, 1e7 + 120], [0, 40, 80, 120], 1],
  ['a lasting jump forward becomes the new time', [0, 40, 1e7, 1e7 + 40, 1e7 + 80, 1e7 + 120], [0, 40, 80, 120, 160, 200], 3],
  ['a lasting jump back becomes the new time', [1e7, 1e7 + 40, 0, 40, 80, 120], [0, 40, 80, 120, 160, 200], 3],
]
for (const [name, input, output, jumps] of cases) {
  test(name, () => {
    const timeline = started()
    assert.deepEqual(
      run(timeline, input),
      output.map((ms) => ms + startMs),
    )
    assert.equal(timeline.jumps, jumps)
  })
}

test('equal decode times grow by a tick', () => {
  const timeline = started()
  const [first = 0, second = 0] = run(timeline, [0, 0])
  assert.equal(Math.round((second - first) * 90), 1)
})

test('a new publication goes on by the wall time that passed', () => {
  const timeline = started()
  run(timeline, [0, 40])
  timeline.begin()
  assert.deepEqual(run(timeline, [777_000, 777_040], { fromArrivalMs: 1040 }), [startMs + 1040, startMs + 1080])
})

test('tracks that jump together keep their distance', () => {
  const timeline = started()
  const out: { video: number[]; audio: number[] } = { video: [], audio: [] }
  for (let i = 0; i < 40; i++) {
    const sourceMs = i * 40 + (i >= 20 ? 3_600_000 : 0)
    out.video.push((timeline.map(unitAt(sourceMs), 1, i * 40)?.dtsTicks ?? 0) / 90)
    out.audio.push((timeline.map(unitAt(sourceMs, { track: audioTrack }), 2, i * 40)?.dtsTicks ?? 0) / 48)
  }
  assert.ok(Math.abs((out.video.at(-1) ?? 0) - (out.audio.at(-1) ?? 0)) < 1)
})

test('whatever comes in, decode times grow and composition offsets are never negative', () => {
  const torture = fc.array(fc.oneof(fc.integer({ min: -10_000_000, max: 10_000_000 }), fc.integer({ min: 0, max: 200 })), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(torture, fc.boolean(), (steps, isAbsolute) => {
      const timeline = started()
      let sourceMs = 0
      let last = -1
      for (const [i, step] of steps.entries()) {
        sourceMs = isAbsolute ? step : sourceMs + step
        const stamp = timeline.map(unitAt(sourceMs, { compositionMs: step % 100 }), 1, i * 40)
        if (!stamp) continue
        assert.ok(stamp.dtsTicks > last, `${stamp.dtsTicks} after ${last}`)
        assert.ok(stamp.ptsTicks >= stamp.dtsTicks)
        last = stamp.dtsTicks
      }
    }),
  )
})
