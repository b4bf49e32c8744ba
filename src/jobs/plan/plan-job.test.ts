import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Check } from 'typebox/value'
import { noRolls, pictureSchema, timelineSchema, videoEncoderSchema } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { taskKey } from '../job-store.ts'
import type { JobInput } from '../scenario.ts'
import { presets } from '../scenarios/presets.ts'
import { planJob, type PlanRequest } from './plan-job.ts'
import { audioOf, hdr10Video, probeOf, renditionOf, scenarioOf, videoOf } from './probe.fixture.ts'

const input: JobInput = { source: { object: 'sources/a/b.mp4' } }
const plan = (fields: Partial<PlanRequest> = {}) =>
  planJob({ jobId: 'j1', scenario: scenarioOf(), input, probe: probeOf(), ...fields })

const refuses = (code: string, words: RegExp, fields: Partial<PlanRequest>) =>
  assert.throws(
    () => plan(fields),
    (error) => error instanceof AppError && error.code === code && words.test(error.message),
  )

test('ten minutes in one rendition are ten chunks, a sound, pictures, and a package after all', () => {
  const { tasks } = plan()
  const keys = tasks.map(taskKey)
  assert.deepEqual(keys, [
    ...Array.from({ length: 10 }, (_, chunk) => `video/1080p/${chunk}`),
    'audio/audio-0/0',
    'pictures//0',
    'package//0',
  ])
  assert.deepEqual(tasks.at(-1)?.after, keys.slice(0, -1))
  assert.ok(tasks.slice(0, -1).every(({ after }) => after.length === 0))
})

test('tasks say what they need, what they cost, and how many frames they have', () => {
  const { tasks } = plan({ scenario: scenarioOf({ renditions: [renditionOf({ codec: 'h265' })] }) })
  const [video] = tasks
  assert.deepEqual(video?.needs, ['encoder:libx265'])
  assert.equal(video.cost, 3)
  assert.equal(video.totalFrames, 1500)
  const others = tasks.filter(({ kind }) => kind !== 'video').map(({ kind, needs, cost }) => [kind, needs.join(), cost])
  assert.deepEqual(others, [
    ['audio', 'encoder:aac', 1],
    ['pictures', '', 1],
    ['package', '', 1],
  ])
})

test('Opus needs its own encoder', () => {
  const audio = { codec: 'opus', bitsPerSecond: 96_000, channels: 2, sampleRate: 48_000, normalize: false } as const
  const { tasks } = plan({ scenario: scenarioOf({ audio }) })
  assert.deepEqual(tasks.find(({ kind }) => kind === 'audio')?.needs, ['encoder:libopus'])
})

test('all renditions share one timeline', () => {
  const renditions = [renditionOf({ maxFrameRate: 60 }), renditionOf({ name: '720p', height: 720, maxFrameRate: 30 })]
  const probe = probeOf({ video: videoOf({ frameRate: { num: 60_000, den: 1001 }, frameCount: 6000 }) })
  const planned = plan({ scenario: scenarioOf({ renditions }), probe }).plan
  assert.equal(planned.renditions.length, 2)
  for (const { timeline, video } of planned.renditions) {
    assert.deepEqual(timeline, { startMs: 0, frameRate: { num: 30_000, den: 1001 }, frameCount: 3000 })
    assert.equal(video.gopFrames, 60)
  }
  assert.equal(planned.durationMs, 100_100)
})

test('an interlaced source is deinterlaced and keeps its rate', () => {
  const { plan: planned } = plan({ probe: probeOf({ video: videoOf({ fieldOrder: 'top-first' }) }) })
  assert.equal(planned.renditions[0]?.picture.deinterlace, true)
  assert.deepEqual(planned.renditions[0].timeline.frameRate, { num: 25, den: 1 })
})

test('a source without a steady rate gets the standard rate nearest to it', () => {
  const video = videoOf({ isVariableRate: true, frameRate: { num: 2989, den: 100 }, frameCount: 2989 })
  const { timeline } = plan({ probe: probeOf({ video }) }).plan.renditions[0] ?? {}
  assert.deepEqual(timeline, { startMs: 0, frameRate: { num: 30_000, den: 1001 }, frameCount: 2997 })
})

test('HDR10 is kept where there is room for it, and SDR elsewhere', () => {
  const renditions = [renditionOf({ name: 'a', codec: 'h265', bitDepth: 10 }), renditionOf({ name: 'b' })]
  const { plan: planned } = plan({ scenario: scenarioOf({ renditions }), probe: probeOf({ video: videoOf(hdr10Video) }) })
  const kinds = planned.renditions.map(({ video }) => [video.bitDepth, video.hdr?.kind, video.color.transfer])
  assert.deepEqual(kinds, [
    [10, 'hdr10', 'smpte2084'],
    [8, undefined, 'bt709'],
  ])
})

test('a source that cannot be read from the middle is one piece, with the reason', () => {
  const { plan: planned, tasks } = plan({ probe: probeOf({ notSeekable: 'it has one keyframe' }) })
  assert.match(planned.singlePiece ?? '', /it has one keyframe/)
  assert.equal(tasks.filter(({ kind }) => kind === 'video').length, 1)
  assert.deepEqual(planned.renditions[0]?.rolls, noRolls)
})

test('an average rate is one piece with the reason, beside renditions in chunks', () => {
  const rate = { mode: 'average', bitsPerSecond: 1_000_000, maxBitsPerSecond: 2_000_000, bufferMs: 2000 } as const
  const scenario = scenarioOf({ renditions: [renditionOf(), renditionOf({ name: 'steady', height: 720, rate })] })
  const { plan: planned } = plan({ scenario })
  assert.match(planned.singlePiece ?? '', /"steady".*rate control/)
  assert.deepEqual(
    planned.renditions.map(({ chunks }) => chunks.length),
    [10, 1],
  )
})

test('one piece that was asked for needs no reason', () => {
  const { plan: planned } = plan({ scenario: scenarioOf({ chunkSeconds: 0 }), probe: probeOf({ notSeekable: 'so it is' }) })
  assert.equal(planned.singlePiece, undefined)
  assert.equal(planned.renditions[0]?.chunks.length, 1)
})

test('the parts of a clip lie where the source has them', () => {
  const probe = probeOf({ video: videoOf({ startMs: 80 }) })
  const { plan: planned } = plan({ probe, input: { ...input, clip: { fromSeconds: 60, toSeconds: 90 } } })
  assert.deepEqual([planned.startMs, planned.durationMs], [60_080, 30_000])
  assert.equal(planned.renditions[0]?.timeline.startMs, 60_080)
})

test('crop and watermark go to the picture, the key of the watermark does not', () => {
  const mark = { corner: 'top-left', widthPercent: 10, marginPercent: 2, opacity: 0.5 } as const
  const crop = { x: 0, y: 140, width: 1920, height: 800 }
  const { plan: planned } = plan({ input: { ...input, crop, watermark: { object: 'mark.png', ...mark } } })
  const [rendition] = planned.renditions
  assert.deepEqual(rendition?.picture, {
    deinterlace: false,
    rotationDegrees: 0,
    crop,
    width: 1920,
    height: 800,
    watermark: mark,
  })
})

test('sounds are planned in the order of the source, the first as default, with no more channels than it has', () => {
  const audio = { codec: 'aac', bitsPerSecond: 480_000, channels: 6, sampleRate: 48_000, normalize: false } as const
  const tracks = [
    audioOf({ channels: 6, language: 'deu' }),
    audioOf({ track: 1, channels: 2, language: 'eng', title: 'Director' }),
    audioOf({ track: 2, channels: 1 }),
    audioOf({ track: 3, channels: 8 }),
    audioOf({ track: 4, channels: 4 }),
  ]
  const { plan: planned } = plan({ scenario: scenarioOf({ audio }), probe: probeOf({ audio: tracks }) })
  const found = planned.audio.map(({ name, track, audio: { channels, bitsPerSecond }, isDefault }) => [
    name,
    track,
    channels,
    bitsPerSecond,
    isDefault,
  ])
  assert.deepEqual(found, [
    ['audio-0', 0, 6, 480_000, true],
    ['audio-1', 1, 2, 160_000, false],
    ['audio-2', 2, 1, 80_000, false],
    ['audio-3', 3, 6, 480_000, false],
    ['audio-4', 4, 2, 160_000, false],
  ])
  assert.deepEqual([planned.audio[1]?.language, planned.audio[1]?.title], ['eng', 'Director'])
})

test('a film without sound has no sound, and a scenario without audio takes none', () => {
  assert.deepEqual(plan({ probe: probeOf({ audio: [] }) }).plan.audio, [])
  const { audio: _, ...mute } = scenarioOf()
  assert.deepEqual(plan({ scenario: mute }).plan.audio, [])
})

test('sound alone has a sound and a package', () => {
  const { plan: planned, tasks } = plan({ scenario: scenarioOf({ renditions: [] }) })
  assert.deepEqual(tasks.map(taskKey), ['audio/audio-0/0', 'package//0'])
  assert.equal(planned.durationMs, 600_000)
})

test('what a source does not have cannot be made', () => {
  const { video: _, ...soundOnly } = probeOf()
  refuses('UNSUPPORTED', /sound but no film.*audio-only/, { probe: soundOnly })
  refuses('UNSUPPORTED', /neither film nor sound/, { probe: { ...soundOnly, audio: [] } })
  refuses('UNSUPPORTED', /no sound/, { scenario: scenarioOf({ renditions: [] }), probe: probeOf({ audio: [] }) })
})

test('a picture beside sound is a cover', () => {
  refuses('UNSUPPORTED', /sound but no film/, { probe: probeOf({ video: videoOf({ frameCount: 1 }) }) })
})

test('a clip or crop that does not fit is a fault of the request', () => {
  refuses('REQUEST_INVALID', /clip from 700 s holds nothing: the source has 600/, {
    input: { ...input, clip: { fromSeconds: 700 } },
  })
  refuses('REQUEST_INVALID', /crop/, { input: { ...input, crop: { x: 1900, y: 0, width: 100, height: 100 } } })
})

test('the frames of a rendition are those of its tasks', () => {
  const lengths = fc.integer({ min: 2, max: 500_000 })
  const property = fc.property(
    lengths,
    fc.constantFrom(...presets.filter(({ kind }) => kind === 'vod')),
    (frameCount, scenario) => {
      const { plan: planned, tasks } = plan({
        scenario,
        probe: probeOf({ video: videoOf({ frameCount, width: 3840, height: 2160 }) }),
      })
      for (const { name, timeline, picture, video } of planned.renditions) {
        assert.ok(Check(timelineSchema, timeline) && Check(pictureSchema, picture) && Check(videoEncoderSchema, video))
        const frames = tasks.filter(({ rendition }) => rendition === name).reduce((sum, { totalFrames }) => sum + totalFrames, 0)
        assert.equal(frames, timeline.frameCount)
      }
      assert.equal(new Set(tasks.map(taskKey)).size, tasks.length)
      assert.ok(tasks.length <= 5100)
    },
  )
  fc.assert(property, { numRuns: 100 })
})

test('a day of film in a ladder is planned in bounded tasks', () => {
  const scenario = presets.find(({ name }) => name === 'abr-ladder')
  assert.ok(scenario)
  const { tasks } = plan({ scenario, probe: probeOf({ video: videoOf({ frameCount: 24 * 3600 * 25 }) }) })
  assert.ok(tasks.length > 4000 && tasks.length <= 5003)
})

test('the same question has the same answer', () => {
  assert.deepEqual(plan(), plan())
})
