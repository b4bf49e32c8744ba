import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import type { NewTask } from '../job-store.ts'
import { planJob } from '../plan/plan-job.ts'
import type { JobInput } from '../scenario.ts'
import { parseScenario } from '../scenarios/parse-scenario.ts'
import { testProbe } from './scheduler.fixture.ts'
import { orderOf } from './task-order.ts'

const renditions = [{ name: '360p', height: 360, codec: 'h264', rate: { mode: 'crf', crf: 30 } }]
const audio = { codec: 'aac', bitsPerSecond: 96_000, channels: 2, sampleRate: 48_000, normalize: false }
const film: JobInput = { source: { url: 'http://films.test/a.mp4' } }

function planned(scenario: object, input = film) {
  const { plan, tasks } = planJob({ scenario: parseScenario({ name: 'mine', ...scenario }), input, probe: testProbe, jobId: 'j' })
  /** The order of the first task of a kind. */
  const order = (kind: NewTask['kind'], outputs: Parameters<typeof orderOf>[0]['outputs'] = []) => {
    const task = tasks.find((candidate) => candidate.kind === kind)
    assert.ok(task)
    return orderOf({ task: { ...task, id: 7 }, input, plan: () => plan, outputs })
  }
  return { order }
}

const chunk = {
  id: 3,
  kind: 'video',
  rendition: '360p',
  chunk: 0,
  output: {
    output: { kind: 'video', facts: { frameCount: 250, keyframeCount: 5, sizeBytes: 9, sha256: 'frames', peakSecondBytes: 9 } },
    files: [{ name: 'chunk.mp4', key: 'jobs/j/work/3.1/chunk.mp4', sizeBytes: 9 }],
  },
} as const

test('a watermark is a file of its own', () => {
  const watermark = { object: 'logo.png', corner: 'top-left', widthPercent: 10, marginPercent: 2, opacity: 1 } as const
  const { order } = planned({ renditions }, { ...film, watermark })
  const { spec, inputs } = order('video')
  assert.equal(spec.kind, 'video')
  assert.equal(spec.watermark, 'watermark')
  assert.deepEqual(inputs, [
    { from: 'source', name: 'source' },
    { from: 'object', name: 'watermark', key: 'logo.png' },
  ])
})

test('a package compares with the source when it is asked to, but not a marked picture', () => {
  const wanted = { renditions, pictures: false, chunkSeconds: 0, verifyVmafSeconds: 5 }
  const { spec, inputs } = planned(wanted).order('package', [chunk])
  assert.equal(spec.kind, 'package')
  assert.equal(spec.vmaf?.seconds, 5)
  assert.deepEqual(
    inputs.map(({ name }) => name),
    ['3-chunk.mp4', 'source'],
  )
  const watermark = { object: 'logo.png', corner: 'top-left', widthPercent: 10, marginPercent: 2, opacity: 1 } as const
  const marked = planned(wanted, { ...film, watermark }).order('package', [chunk])
  assert.equal(marked.spec.kind, 'package')
  assert.equal(marked.spec.vmaf, undefined)
})

test('sound alone is packaged without frames', () => {
  const output = {
    output: { kind: 'audio', facts: { durationMs: 10_000, sizeBytes: 9, sha256: 'sound' } },
    files: chunk.output.files,
  }
  const { order } = planned({ renditions: [], audio })
  const { spec } = order('package', [{ id: 4, kind: 'audio', rendition: 'audio-0', chunk: 0, output }])
  assert.equal(spec.kind, 'package')
  assert.deepEqual(spec.timeline, { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 250 })
  assert.deepEqual(
    spec.tracks.map(({ track, inputs }) => [track.kind, inputs[0]?.sha256]),
    [['audio', 'sound']],
  )
})

test('pictures are of the largest rendition, a hundred over a short film', () => {
  const { spec } = planned({ renditions: [{ ...renditions[0], name: '240p', height: 240 }, ...renditions] }).order('pictures')
  assert.equal(spec.kind, 'pictures')
  assert.deepEqual([spec.picture.height, spec.posterAtMs, spec.tiles?.everyMs], [360, 1000, 1000])
})

test('a package without one of its chunks is a fault that names it', () => {
  const { order } = planned({ renditions, pictures: false })
  const isNamed = (error: unknown) => error instanceof AppError && /video\/360p\/0/.test(error.message)
  assert.throws(() => order('package'), isNamed)
})
