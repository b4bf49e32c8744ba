import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { renditionOf, scenarioOf } from '../plan/probe.fixture.ts'
import type { Rendition, Scenario } from '../scenario.ts'
import { parseScenario } from './parse-scenario.ts'

const rung = { name: '720p', height: 720, codec: 'h264', rate: { mode: 'crf', crf: 22 } } as const

test('what is left out has its default', () => {
  const scenario = parseScenario({ name: 'mine', renditions: [rung] })
  assert.deepEqual(scenario, {
    name: 'mine',
    description: '',
    kind: 'vod',
    format: 'cmaf',
    renditions: [{ ...rung, allowUpscale: false }],
    chunkSeconds: 60,
    gopSeconds: 2,
    segmentSeconds: 6,
    deinterlace: 'auto',
    hdr: 'keep',
    pictures: true,
  })
})

test('what somebody wrote is not changed', () => {
  const written = { name: 'mine', renditions: [rung] }
  parseScenario(written)
  assert.deepEqual(written, { name: 'mine', renditions: [rung] })
})

const with720 = (fields: Partial<Rendition>): Scenario => scenarioOf({ renditions: [renditionOf(fields)] })
const capped = { mode: 'capped', crf: 21, maxBitsPerSecond: 3_000_000, bufferMs: 2000 } as const
const aac = { codec: 'aac', bitsPerSecond: 128_000, channels: 2, sampleRate: 48_000, normalize: false } as const
const { audio: _, ...mute } = scenarioOf()
const live = scenarioOf({ kind: 'live', renditions: [renditionOf({ rate: capped })] })

const refused: readonly (readonly [what: string, written: unknown, words: RegExp])[] = [
  ['no scenario at all', 7, /must be object/],
  ['an unknown key', { ...scenarioOf(), colour: 'red' }, /additional properties/],
  ['a rate that is none', with720Rate({ mode: 'best' }), /renditions\[0\]\.rate fits none of its forms/],
  ['an odd height', with720({ height: 721 }), /renditions\[0\]\.height/],
  [
    'two renditions of one name',
    scenarioOf({ renditions: [renditionOf({}), renditionOf({ height: 720 })] }),
    /\[1\]\.name is "1080p"/,
  ],
  [
    'a rendition twice',
    scenarioOf({ renditions: [renditionOf({}), renditionOf({ name: 'b' })] }),
    /\[1\] is the same as rendition "1080p"/,
  ],
  ['a name of another file', with720({ name: 'master' }), /name is "master"/],
  ['the name of a sound', with720({ name: 'audio-1' }), /name is "audio-1"/],
  ['an encoder that nobody knows', with720({ encoder: 'x264' }), /encoder is "x264", but h264 is made by libx264/],
  ['an encoder of another codec', with720({ codec: 'av1', encoder: 'libx264' }), /av1 is made by libsvtav1/],
  ['a preset of another encoder', with720({ preset: '8' }), /preset is "8", which libx264 does not know/],
  ['ten bits of H.264', with720({ bitDepth: 10 }), /bitDepth is 10/],
  ['a crf beyond the codec', with720({ rate: { mode: 'crf', crf: 52 } }), /rate\.crf is 52, but h264 goes from 0.* to 51/],
  ['a buffer that holds nothing', with720({ rate: { ...capped, bufferMs: 10 } }), /rate\.bufferMs is 10/],
  [
    'a ceiling below the average',
    with720({ rate: { mode: 'average', bitsPerSecond: 2000, maxBitsPerSecond: 1000, bufferMs: 2000 } }),
    /maxBitsPerSecond is 1000, less than the average of 2000/,
  ],
  [
    'frame rates that differ',
    scenarioOf({ renditions: [renditionOf({ maxFrameRate: 60 }), renditionOf({ name: 'b', height: 720, maxFrameRate: 30 })] }),
    /\[1\]\.maxFrameRate is 30, but 60 in the first/,
  ],
  ['GOPs longer than segments', scenarioOf({ gopSeconds: 8 }), /gopSeconds is 8/],
  ['chunks shorter than GOPs', scenarioOf({ chunkSeconds: 1 }), /chunkSeconds is 1/],
  ['nothing to make', { ...mute, renditions: [] }, /renditions is empty/],
  [
    'two films in one MP4',
    scenarioOf({ format: 'mp4', renditions: [renditionOf({}), renditionOf({ name: 'b', height: 2 * 360 })] }),
    /has 2/,
  ],
  ['Opus at 44.1 kHz', scenarioOf({ audio: { ...aac, codec: 'opus', sampleRate: 44_100 } }), /audio\.sampleRate is 44100/],
  [
    'sound of no bits',
    scenarioOf({ audio: { ...aac, bitsPerSecond: 2000 } }),
    /audio\.bitsPerSecond is 2000, but must be from 12000/,
  ],
  [
    'two live streams',
    { ...live, renditions: [...live.renditions, renditionOf({ name: 'b', height: 720 })] },
    /has 2, but a live job/,
  ],
  ['a live stream of AV1', { ...live, renditions: [renditionOf({ codec: 'av1', rate: capped })] }, /streams carry h264 and h265/],
  ['a live stream without a ceiling', { ...live, renditions: [renditionOf({})] }, /has no ceiling/],
  ['a live file', { ...live, format: 'mp4' }, /leaves no file/],
]

for (const [what, written, words] of refused) {
  test(`${what} is refused`, () => {
    assert.throws(
      () => parseScenario(written),
      (error) => {
        assert.ok(error instanceof AppError)
        assert.equal(error.code, 'SCENARIO_INVALID')
        assert.match(error.message, words)
        return true
      },
    )
  })
}

test('all that is wrong is named at once, by its place', () => {
  const wrong = scenarioOf({ gopSeconds: 8, renditions: [renditionOf({ preset: 'p4', bitDepth: 10 })] })
  assert.throws(
    () => parseScenario(wrong),
    (error) => {
      assert.ok(error instanceof AppError && Array.isArray(error.details?.['issues']))
      assert.deepEqual(
        error.details['issues'].map(({ path }: { path: string }) => path),
        ['renditions[0].preset', 'renditions[0].bitDepth', 'gopSeconds'],
      )
      return true
    },
  )
})

for (const fields of [
  { encoder: 'auto', preset: 'slow' },
  { encoder: 'h264_nvenc', preset: 'p7' },
  { codec: 'av1', preset: '13', bitDepth: 10, rate: { mode: 'crf', crf: 63 } },
  { codec: 'vp9', preset: '5' },
] as const) {
  test(`a rendition with ${JSON.stringify(fields)} is taken`, () => {
    assert.ok(parseScenario(scenarioOf({ renditions: [renditionOf(fields)] })))
  })
}

function with720Rate(rate: unknown): unknown {
  return { ...scenarioOf(), renditions: [{ ...rung, rate }] }
}
