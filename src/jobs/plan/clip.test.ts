import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Rational } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { durationMsOf, pictureTimeline, soundSpan } from './clip.ts'
import { outputFrameRate } from './frame-rate.ts'
import { audioOf, videoOf } from './probe.fixture.ts'

const ntsc: Rational = { num: 30_000, den: 1001 }
const isRefusal = (error: unknown): boolean => error instanceof AppError && error.code === 'REQUEST_INVALID'

test('without a clip the timeline has every frame of the source', () => {
  const video = videoOf({ frameRate: ntsc, frameCount: 899, startMs: 66.7 })
  const timeline = pictureTimeline(video, ntsc, undefined)
  assert.deepEqual(timeline, { startMs: 66.7, frameRate: ntsc, frameCount: 899 })
})

test('a clip begins at the frame that is nearest to the time asked for', () => {
  const video = videoOf({ frameRate: ntsc, frameCount: 899, startMs: 100 })
  const { startMs, frameCount } = pictureTimeline(video, ntsc, { fromSeconds: 10, toSeconds: 20 })
  assert.equal(startMs, 100 + (300 * 1001) / 30)
  assert.equal(frameCount, 299)
})

test('a clip that ends behind the source ends with it', () => {
  const video = videoOf({ frameCount: 250 })
  assert.equal(pictureTimeline(video, video.frameRate, { fromSeconds: 8, toSeconds: 99 }).frameCount, 50)
})

test('half the rate has half the frames, and the last one counts', () => {
  const video = videoOf({ frameRate: { num: 50, den: 1 }, frameCount: 101 })
  assert.equal(pictureTimeline(video, { num: 25, den: 1 }, undefined).frameCount, 51)
})

test('a source without a steady rate is as long as its frames say', () => {
  const video = videoOf({ isVariableRate: true, frameRate: { num: 20, den: 1 }, frameCount: 200 })
  const timeline = pictureTimeline(video, { num: 25, den: 1 }, undefined)
  assert.equal(timeline.frameCount, 250)
  assert.equal(durationMsOf(timeline), 10_000)
})

for (const [what, clip] of [
  ['begins behind the end', { fromSeconds: 600 }],
  ['ends before it begins', { fromSeconds: 5, toSeconds: 4 }],
  ['is shorter than a frame', { fromSeconds: 5, toSeconds: 5.01 }],
] as const) {
  test(`a clip that ${what} is refused`, () => {
    const video = videoOf()
    assert.throws(() => pictureTimeline(video, video.frameRate, clip), isRefusal)
  })
}

test('a clip of any steady source lies within it and holds a frame', () => {
  const rates = fc.constantFrom<Rational>(ntsc, { num: 25, den: 1 }, { num: 60, den: 1 }, { num: 24_000, den: 1001 })
  const times = fc.double({ min: 0, max: 1000, noNaN: true })
  const property = fc.property(
    rates,
    fc.integer({ min: 1, max: 100_000 }),
    times,
    times,
    (frameRate, frameCount, from, length) => {
      const video = videoOf({ frameRate, frameCount, startMs: 40 })
      const most = outputFrameRate(video, 30)
      const clip = { fromSeconds: from, toSeconds: from + length + 0.1 }
      const seconds = (frameCount * frameRate.den) / frameRate.num
      if (from > seconds - 0.1) return
      const timeline = pictureTimeline(video, most, clip)
      assert.ok(timeline.frameCount >= 1)
      assert.ok(timeline.startMs >= 40)
      const frameMs = (1000 * most.den) / most.num
      assert.ok(timeline.startMs + durationMsOf(timeline) <= 40 + seconds * 1000 + frameMs)
      assert.ok(Math.abs(timeline.startMs - 40 - from * 1000) <= frameMs)
    },
  )
  fc.assert(property)
})

test('a job without pictures lasts as long as its longest sound', () => {
  const audio = [audioOf({ startMs: 20, durationMs: 5000 }), audioOf({ track: 1, startMs: 0, durationMs: 9000 })]
  assert.deepEqual(soundSpan(audio, undefined), { startMs: 0, durationMs: 9000 })
  assert.deepEqual(soundSpan(audio, { fromSeconds: 4 }), { startMs: 4000, durationMs: 5000 })
  assert.deepEqual(soundSpan(audio, { fromSeconds: 4, toSeconds: 6 }), { startMs: 4000, durationMs: 2000 })
  assert.throws(() => soundSpan(audio, { fromSeconds: 9 }), isRefusal)
})
