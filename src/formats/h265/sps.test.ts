import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { h265CodecString, parseH265Sps, type H265Sps } from './sps.ts'

/** Made by x265; the last is the first one cut behind the reorder information. */
const cases: [name: string, hex: string, codec: string, expected: Partial<H265Sps>][] = [
  [
    'main profile, 50 frames/s',
    '420101016000000300900000030000030078a00280802d165959a4932bc05a020000030002000003006410',
    'hvc1.1.6.L120.90',
    { width: 1280, height: 720, framesPerSecond: 50, maxNumReorderFrames: 2, bitDepthLuma: 8, chromaFormatIdc: 1, levelIdc: 120 },
  ],
  [
    'main 10 profile',
    '42010102200000030090000003000003005da00280802d1365959a4932bc05a02000000300200000030321',
    'hvc1.2.4.L93.90',
    {
      width: 1280,
      height: 720,
      framesPerSecond: 25,
      maxNumReorderFrames: 2,
      bitDepthLuma: 10,
      bitDepthChroma: 10,
      profileIdc: 2,
    },
  ],
  [
    'cropped to 64 × 48',
    '42010101600000030090000003000003001ea02083165959ae4caf016808000003000800000300c840',
    'hvc1.1.6.L30.90',
    { width: 64, height: 48, framesPerSecond: 25, maxNumReorderFrames: 2, temporalLayerCount: 1, isTemporalIdNested: true },
  ],
  [
    'cut in the VUI',
    '420101016000000300900000030000030078a00280802d165959a493',
    'hvc1.1.6.L120.90',
    { width: 1280, height: 720, maxNumReorderFrames: 2 },
  ],
]

for (const [name, hex, codec, expected] of cases) {
  test(`H.265 parameter set: ${name}`, () => {
    const nal = Buffer.from(hex, 'hex')
    const sps = parseH265Sps(nal)
    assert.deepEqual({ ...sps, ...expected }, sps)
    assert.equal(h265CodecString(nal), codec)
    assert.equal(sps.framesPerSecond, expected.framesPerSecond)
  })
}

const refused: [name: string, hex: string, code: string][] = [
  ['empty', '', 'MALFORMED'],
  ['another NAL unit', '4401c172b46240', 'MALFORMED'],
  ['cut in the profile', '4201010160', 'TRUNCATED'],
  ['eight temporal layers', '42010f016000000300900000030000030078a00280802d', 'MALFORMED'],
]

for (const [name, hex, code] of refused) {
  test(`H.265 parameter set is refused: ${name}`, () => {
    assert.throws(
      () => parseH265Sps(Buffer.from(hex, 'hex')),
      (error) => error instanceof AppError && error.code === code,
    )
  })
}

const inputs = cases.map(([, hex]) => Buffer.from(hex, 'hex'))
fuzzBytes('parseH265Sps', inputs, parseH265Sps)
fuzzBytes('h265CodecString', inputs, h265CodecString)
