import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { h264CodecString, parseH264Sps, type H264Sps } from './sps.ts'

/** Made by x264; the last two are the second one with its VUI taken out, and cut in the middle of it. */
const cases: [name: string, hex: string, codec: string, expected: Partial<H264Sps>][] = [
  [
    'high profile, cropped, 29.97 frames/s',
    '67640028acd940780227e5c04400000fa40003a9803c60c658',
    'avc1.640028',
    {
      width: 1920,
      height: 1080,
      profileIdc: 100,
      levelIdc: 40,
      framesPerSecond: 30_000 / 1001,
      maxNumReorderFrames: 2,
      pocType: 0,
    },
  ],
  [
    'high profile with B-frames',
    '6764000aacd9447b011000000300100000030320f1225960',
    'avc1.64000a',
    {
      width: 64,
      height: 48,
      framesPerSecond: 25,
      maxNumReorderFrames: 2,
      log2MaxPocLsb: 6,
      log2MaxFrameNum: 4,
      maxNumRefFrames: 4,
    },
  ],
  [
    'baseline',
    '6742c00ad9047b011000000300100000030320f1226480',
    'avc1.42c00a',
    { width: 64, height: 48, framesPerSecond: 25, maxNumReorderFrames: 0, pocType: 2, constraintFlags: 0xc0, log2MaxPocLsb: 0 },
  ],
  [
    'interlaced',
    '67640015acd941410fcb808800000300080000030190f8a14cb0',
    'avc1.640015',
    { width: 320, height: 240, isFrameMbsOnly: false, framesPerSecond: 25 },
  ],
  ['no VUI', '6764000aacd94479', 'avc1.64000a', { width: 64, height: 48, log2MaxPocLsb: 6 }],
  ['VUI cut short', '6764000aacd9447b011000', 'avc1.64000a', { width: 64, height: 48 }],
]

for (const [name, hex, codec, expected] of cases) {
  test(`H.264 parameter set: ${name}`, () => {
    const nal = Buffer.from(hex, 'hex')
    const sps = parseH264Sps(nal)
    assert.deepEqual({ ...sps, ...expected }, sps)
    assert.equal(h264CodecString(nal), codec)
    if (expected.framesPerSecond === undefined) assert.equal(sps.framesPerSecond, undefined)
  })
}

const refused: [name: string, hex: string, code: string][] = [
  ['empty', '', 'MALFORMED'],
  ['another NAL unit', '68ebe04d2c8b', 'MALFORMED'],
  ['cut before the size', '6764000aac', 'TRUNCATED'],
  ['zeros', '6764000a00000000000000000000', 'MALFORMED'],
]

for (const [name, hex, code] of refused) {
  test(`H.264 parameter set is refused: ${name}`, () => {
    assert.throws(
      () => parseH264Sps(Buffer.from(hex, 'hex')),
      (error) => error instanceof AppError && error.code === code,
    )
  })
}

const inputs = cases.map(([, hex]) => Buffer.from(hex, 'hex'))
fuzzBytes('parseH264Sps', inputs, parseH264Sps)
fuzzBytes('h264CodecString', inputs, h264CodecString)
