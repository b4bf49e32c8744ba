import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceVideo } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { Rendition, Scenario } from '../scenario.ts'
import { encoderCost, threadsFor, videoEncoderFor } from './encoder-choice.ts'
import { hdr10Video, renditionOf, videoOf } from './probe.fixture.ts'

const size = { width: 1920, height: 1080 }
const withNvenc = [{ capabilities: ['encoder:libx264', 'encoder:h264_vaapi', 'encoder:h264_nvenc', 'encoder:hevc_nvenc'] }]

type Choice = { rendition?: Partial<Rendition>; video?: Partial<SourceVideo>; hdr?: Scenario['hdr']; workers?: typeof withNvenc }
const choose = ({ rendition, video, hdr = 'keep', workers = [] }: Choice) =>
  videoEncoderFor({ rendition: renditionOf(rendition), video: videoOf(video), hdr, size, gopFrames: 50, workers })

for (const [what, rendition, workers, encoder, preset] of [
  ['h264', {}, [], 'libx264', 'medium'],
  ['h264 veryfast', { preset: 'veryfast' }, [], 'libx264', 'veryfast'],
  ['h265', { codec: 'h265' }, withNvenc, 'libx265', 'medium'],
  ['av1', { codec: 'av1' }, [], 'libsvtav1', '8'],
  ['vp9', { codec: 'vp9' }, [], 'libvpx-vp9', '4'],
  ['h264 by h264_qsv', { encoder: 'h264_qsv' }, [], 'h264_qsv', 'medium'],
  ['h264 by auto without hardware', { encoder: 'auto', preset: 'slow' }, [], 'libx264', 'slow'],
  ['h264 by auto with hardware', { encoder: 'auto', preset: 'veryfast' }, withNvenc, 'h264_nvenc', 'p5'],
  ['av1 by auto with hardware that has no av1', { codec: 'av1', encoder: 'auto' }, withNvenc, 'libsvtav1', '8'],
] as const) {
  test(`${what} is made by ${encoder} ${preset}`, () => {
    const video = choose({ rendition, workers: [...workers] })
    assert.deepEqual([video.encoder, video.preset], [encoder, preset])
  })
}

test('an encoder of another codec is refused', () => {
  const wrong = { codec: 'av1', encoder: 'libx264' } as const
  assert.throws(
    () => choose({ rendition: wrong }),
    (error) => error instanceof AppError && error.code === 'SCENARIO_INVALID',
  )
})

for (const [what, rendition, hdr, isKept] of [
  ['ten bits of H.265', { codec: 'h265', bitDepth: 10 }, 'keep', true],
  ['ten bits of AV1', { codec: 'av1', bitDepth: 10 }, 'keep', true],
  ['eight bits of H.265', { codec: 'h265' }, 'keep', false],
  ['H.264', {}, 'keep', false],
  ['ten bits of H.265 that shall be SDR', { codec: 'h265', bitDepth: 10 }, 'drop', false],
] as const) {
  test(`HDR10 is ${isKept ? '' : 'not '}kept in ${what}`, () => {
    const video = choose({ rendition, hdr, video: hdr10Video })
    assert.deepEqual(video.hdr, isKept ? hdr10Video.hdr : undefined)
    assert.equal(video.color.transfer, isKept ? 'smpte2084' : 'bt709')
    assert.equal('hdr' in video, isKept)
  })
}

test('HDR is left to software, also where hardware is asked for', () => {
  const rendition = { codec: 'h265', bitDepth: 10, encoder: 'auto' } as const
  assert.equal(choose({ rendition, workers: withNvenc, video: hdr10Video }).encoder, 'libx265')
  assert.equal(choose({ rendition, workers: withNvenc }).encoder, 'hevc_nvenc')
})

test('the colours of the source are kept, but for those of RGB', () => {
  const old = { primaries: 'smpte170m', transfer: 'smpte170m', matrix: 'smpte170m', range: 'tv' } as const
  assert.deepEqual(choose({ video: { color: old } }).color, old)
  assert.equal(choose({ video: { color: { ...old, matrix: 'gbr' } } }).color.matrix, 'bt709')
})

for (const [height, threads] of [
  [180, 2],
  [720, 2],
  [1080, 4],
  [2160, 8],
] as const) {
  test(`${height} lines have ${threads} threads on every machine`, () => {
    assert.equal(threadsFor({ width: (height * 16) / 9, height }), threads)
  })
}

for (const [encoder, codec, height, cost] of [
  ['libx264', 'h264', 180, 1],
  ['libx264', 'h264', 720, 1],
  ['libx264', 'h264', 1080, 2],
  ['libx265', 'h265', 1080, 3],
  ['libx264', 'h264', 2160, 8],
  ['libsvtav1', 'av1', 480, 1],
  ['libsvtav1', 'av1', 2160, 8],
  ['h264_nvenc', 'h264', 2160, 1],
] as const) {
  test(`${encoder} at ${height} lines costs ${cost}`, () => {
    const picture = { width: (height * 16) / 9, height }
    assert.equal(encoderCost({ codec, encoder, threads: threadsFor(picture) }, picture), cost)
  })
}
