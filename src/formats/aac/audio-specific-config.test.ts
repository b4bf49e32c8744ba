import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import {
  aacCodecString,
  parseAudioSpecificConfig,
  writeAudioSpecificConfig,
  type AudioSpecificConfig,
} from './audio-specific-config.ts'

const lc = { objectType: 2, frameSamples: 1024 }
const cases: [name: string, hex: string, codec: string, config: AudioSpecificConfig][] = [
  ['AAC-LC 44.1 kHz stereo', '1210', 'mp4a.40.2', { ...lc, sampleRateHz: 44_100, channelCount: 2 }],
  ['AAC-LC 8 kHz mono', '1588', 'mp4a.40.2', { ...lc, sampleRateHz: 8_000, channelCount: 1 }],
  ['AAC-LC 48 kHz 7.1', '11b8', 'mp4a.40.2', { ...lc, sampleRateHz: 48_000, channelCount: 8 }],
  ['frames of 960 samples', '1194', 'mp4a.40.2', { objectType: 2, frameSamples: 960, sampleRateHz: 48_000, channelCount: 2 }],
  ['explicit rate', '17801f4010', 'mp4a.40.2', { ...lc, sampleRateHz: 16_000, channelCount: 2 }],
  [
    'HE-AAC, hierarchical',
    '2b920800',
    'mp4a.40.5',
    {
      ...lc,
      sampleRateHz: 22_050,
      channelCount: 2,
      sbr: { sampleRateHz: 44_100, hasParametricStereo: false, isBackwardCompatible: false },
    },
  ],
  [
    'HE-AAC v2, hierarchical',
    'eb8a0800',
    'mp4a.40.29',
    {
      ...lc,
      sampleRateHz: 22_050,
      channelCount: 1,
      sbr: { sampleRateHz: 44_100, hasParametricStereo: true, isBackwardCompatible: false },
    },
  ],
  [
    'HE-AAC v2, backward compatible',
    '138856e5a54880',
    'mp4a.40.2',
    {
      ...lc,
      sampleRateHz: 22_050,
      channelCount: 1,
      sbr: { sampleRateHz: 44_100, hasParametricStereo: true, isBackwardCompatible: true },
    },
  ],
]

for (const [name, hex, codec, config] of cases) {
  test(`AudioSpecificConfig: ${name}`, () => {
    const bytes = Buffer.from(hex, 'hex')
    assert.deepEqual(parseAudioSpecificConfig(bytes), config)
    assert.deepEqual(parseAudioSpecificConfig(writeAudioSpecificConfig(config)), config)
    assert.equal(aacCodecString(bytes), codec)
  })
}

test('a configuration is written as the encoders write it', () => {
  for (const [name, hex, , config] of cases) {
    if (name !== 'explicit rate') assert.equal(writeAudioSpecificConfig(config).toString('hex'), hex, name)
  }
  const unusual = { ...lc, sampleRateHz: 44_056, channelCount: 1 }
  assert.deepEqual(parseAudioSpecificConfig(writeAudioSpecificConfig(unusual)), unusual)
})

test('channels are counted from the program config element', () => {
  // channelConfiguration 0; two front elements, a pair and a single one, and a low frequency channel.
  const config = parseAudioSpecificConfig(Buffer.from('118004c801002000', 'hex'))
  assert.deepEqual(config, { ...lc, sampleRateHz: 48_000, channelCount: 4 })
})

const refused: [name: string, hex: string, code: string][] = [
  ['empty', '', 'TRUNCATED'],
  ['reserved rate', '1690', 'MALFORMED'],
  ['reserved channels', '11c8', 'MALFORMED'],
  ['no channels at all', '118004c0000000', 'MALFORMED'],
  ['CELP', '4190', 'UNSUPPORTED'],
]

for (const [name, hex, code] of refused) {
  test(`AudioSpecificConfig is refused: ${name}`, () => {
    assert.throws(
      () => parseAudioSpecificConfig(Buffer.from(hex, 'hex')),
      (error) => error instanceof AppError && error.code === code,
    )
  })
}

fuzzBytes(
  'parseAudioSpecificConfig',
  cases.map(([, hex]) => Buffer.from(hex, 'hex')),
  (bytes) => writeAudioSpecificConfig(parseAudioSpecificConfig(bytes)),
)
