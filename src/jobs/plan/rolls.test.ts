import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Rational, VideoEncoder } from '#codec/transcoding.ts'
import { gopFramesOf } from './chunks.ts'
import { rollsOf } from './rolls.ts'

const rate25 = { num: 25, den: 1 }
const ntsc = { num: 30_000, den: 1001 }
const encoder: VideoEncoder = {
  codec: 'h264',
  encoder: 'libx264',
  rate: { mode: 'crf', crf: 21 },
  preset: 'medium',
  bitDepth: 8,
  gopFrames: 50,
  threads: 4,
  color: { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' },
}
const x265 = { codec: 'h265', encoder: 'libx265' } as const
const nvenc = { codec: 'h265', encoder: 'hevc_nvenc', preset: 'p5' } as const
const capped = { mode: 'capped', crf: 21, maxBitsPerSecond: 5_000_000, bufferMs: 2000 } as const
const average = { mode: 'average', bitsPerSecond: 4_000_000, maxBitsPerSecond: 5_000_000, bufferMs: 2000 } as const

const cases: readonly [what: string, fields: Partial<VideoEncoder>, frameRate: Rational, rolls: readonly number[]][] = [
  ['still pictures and what x264 looks ahead to', {}, rate25, [300, 0, 100]],
  ['its own pictures, too, where x264 counts how motion was predicted', { preset: 'slow' }, rate25, [300, 100, 100]],
  ['its own pictures alone where x264 has no tree', { preset: 'superfast' }, rate25, [0, 300, 100]],
  ['still pictures where x265 has a fixed pattern', { ...x265, preset: 'fast' }, rate25, [300, 0, 100]],
  ['its own pictures alone where x265 has none', { ...x265, preset: 'medium', gopFrames: 48 }, rate25, [0, 336, 100]],
  ['four seconds on both sides', nvenc, rate25, [0, 100, 100]],
  ['four seconds and more, of whole GOPs', { ...nvenc, gopFrames: 60 }, ntsc, [0, 120, 120]],
  ['a GOP longer than four seconds whole', { ...nvenc, gopFrames: 250 }, rate25, [0, 250, 100]],
  ['enough frames to look ahead where they are few a second', { ...nvenc, gopFrames: 10 }, { num: 5, den: 1 }, [0, 60, 60]],
  ['one GOP before where nothing is remembered', { codec: 'av1', encoder: 'libsvtav1', preset: '8' }, rate25, [0, 50, 100]],
  ['nothing behind with a ceiling', { rate: capped }, rate25, [0, 100, 0]],
  ['nothing with an average rate', { rate: average }, rate25, [0, 0, 0]],
]
for (const [what, fields, frameRate, [stillFrames, preRollFrames, postRollFrames]] of cases) {
  test(`a chunk is encoded with ${what}`, () => {
    assert.deepEqual(rollsOf({ ...encoder, ...fields }, frameRate), { stillFrames, preRollFrames, postRollFrames })
  })
}

test('pictures before a chunk begin on a keyframe', () => {
  const property = fc.property(
    fc.constantFrom(rate25, ntsc, { num: 60, den: 1 }, { num: 15, den: 2 }),
    fc.double({ min: 0.2, max: 10, noNaN: true }),
    fc.constantFrom('libx264', 'libx265', 'libsvtav1', 'h264_nvenc'),
    fc.constantFrom('superfast', 'medium', 'slow'),
    (frameRate, gopSeconds, name, preset) => {
      const gopFrames = gopFramesOf(frameRate, gopSeconds)
      assert.equal(rollsOf({ ...encoder, encoder: name, preset, gopFrames }, frameRate).preRollFrames % gopFrames, 0)
    },
  )
  fc.assert(property)
})
