import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { gopFramesOf, layoutChunks } from './chunks.ts'

const rate25 = { num: 25, den: 1 }
const ntsc = { num: 30_000, den: 1001 }

type Request = Parameters<typeof layoutChunks>[0]
const request: Request = { frameCount: 15_000, frameRate: rate25, gopFrames: 50, chunkSeconds: 60, maxChunks: 5000 }

for (const [num, den, seconds, frames] of [
  [25, 1, 2, 50],
  [30_000, 1001, 2, 60],
  [24_000, 1001, 2, 48],
  [60_000, 1001, 2, 120],
  [5, 1, 0.05, 1],
  [240, 1, 10, 1000],
] as const) {
  test(`${seconds} s of ${num}/${den} are a GOP of ${frames} frames`, () => {
    assert.equal(gopFramesOf({ num, den }, seconds), frames)
  })
}

const lengths = (fields: Partial<Request>): number[] =>
  layoutChunks({ ...request, ...fields }).map(({ startFrame, endFrame }) => endFrame - startFrame)

for (const [what, fields, expected] of [
  ['ten minutes become ten chunks of a minute', {}, Array<number>(10).fill(1500)],
  ['a source shorter than a chunk is one', { frameCount: 740 }, [740]],
  ['a source little longer than a chunk is one, too', { frameCount: 1600 }, [1600]],
  ['no short chunk is left at the end', { frameCount: 3140 }, [1550, 1590]],
  ['0 seconds are one piece', { chunkSeconds: 0 }, [15_000]],
  ['chunks of 30000/1001 are of whole GOPs', { frameRate: ntsc, gopFrames: 60, frameCount: 3600 }, [1800, 1800]],
  ['a GOP longer than a chunk is a chunk', { gopFrames: 250, chunkSeconds: 2, frameCount: 750 }, [250, 250, 250]],
  ['chunks get longer when there would be too many', { maxChunks: 3 }, [5000, 5000, 5000]],
  ['one frame is one chunk', { frameCount: 1 }, [1]],
] as const) {
  test(what, () => assert.deepEqual(lengths(fields), expected))
}

const frameRates = fc.constantFrom(
  rate25,
  ntsc,
  { num: 24_000, den: 1001 },
  { num: 60, den: 1 },
  { num: 15, den: 2 },
  { num: 2997, den: 100 },
)
const requests = fc
  .record({
    frameCount: fc.integer({ min: 1, max: 3_000_000 }),
    frameRate: frameRates,
    gopSeconds: fc.double({ min: 0.2, max: 10, noNaN: true }),
    chunkSeconds: fc.oneof(fc.constant(0), fc.double({ min: 1, max: 600, noNaN: true })),
    maxChunks: fc.integer({ min: 1, max: 5000 }),
  })
  .map(({ gopSeconds, ...rest }) => ({ ...rest, gopFrames: gopFramesOf(rest.frameRate, gopSeconds) }))

test('chunks cover any timeline without hole or overlap, and begin on keyframes', () => {
  const property = fc.property(requests, (some) => {
    const chunks = layoutChunks(some)
    assert.ok(chunks.length >= 1 && chunks.length <= some.maxChunks)
    let end = 0
    for (const { startFrame, endFrame } of chunks) {
      assert.equal(startFrame, end)
      assert.ok(endFrame > startFrame)
      assert.equal(startFrame % some.gopFrames, 0)
      end = endFrame
    }
    assert.equal(end, some.frameCount)
  })
  fc.assert(property)
})

test('chunks are near the length that was asked for', () => {
  const property = fc.property(requests, (some) => {
    const chunks = layoutChunks({ ...some, maxChunks: Infinity })
    if (some.chunkSeconds === 0 || chunks.length === 1) return
    const wanted = Math.max(some.gopFrames, (some.chunkSeconds * some.frameRate.num) / some.frameRate.den)
    for (const { startFrame, endFrame } of chunks) {
      assert.ok(endFrame - startFrame <= wanted * 1.5 + 2 * some.gopFrames)
      assert.ok(endFrame - startFrame >= wanted * 0.5 - 2 * some.gopFrames)
    }
  })
  fc.assert(property)
})
