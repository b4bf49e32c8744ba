import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { presets } from '../scenarios/presets.ts'
import { planLive } from './plan-live.ts'
import { scenarioOf } from './probe.fixture.ts'

const scenario = presets.find(({ name }) => name === 'live-720p30') ?? scenarioOf()

test('a live job is one task that needs the encoders of picture and sound', () => {
  const { task, ...plan } = planLive({ scenario, source: { width: 1920, height: 1080, frameRate: { num: 25, den: 1 } } })
  assert.deepEqual(plan.picture, { width: 1280, height: 720, deinterlace: true, maxFrameRate: 30 })
  assert.equal(plan.video.gopFrames, 25)
  assert.equal(plan.video.preset, 'veryfast')
  assert.deepEqual(task, {
    kind: 'live',
    rendition: '720p',
    chunk: 0,
    after: [],
    needs: ['encoder:libx264', 'encoder:aac'],
    cost: 1,
    totalFrames: 0,
  })
})

test('a stream of which nothing is known is taken for 16:9', () => {
  const { picture, video } = planLive({ scenario })
  assert.deepEqual([picture.width, picture.height, video.gopFrames], [1280, 720, 30])
})

test('a stream is not scaled up', () => {
  const { picture } = planLive({ scenario, source: { width: 640, height: 480 } })
  assert.deepEqual([picture.width, picture.height], [640, 480])
})

test('a rate above that of the scenario is divided, and keyframes stay as far apart in time', () => {
  for (const [num, den, gopFrames] of [
    [60, 1, 30],
    [60_000, 1001, 30],
    [50, 1, 25],
    [25, 1, 25],
  ] as const) {
    assert.equal(planLive({ scenario, source: { frameRate: { num, den } } }).video.gopFrames, gopFrames, `${num}/${den}`)
  }
})

test('interlaced pictures are left as they are where the scenario says so', () => {
  assert.equal(planLive({ scenario: { ...scenario, deinterlace: 'never' } }).picture.deinterlace, false)
  assert.equal(planLive({ scenario: { ...scenario, deinterlace: 'always' } }).picture.deinterlace, true)
})

test('hardware is taken where a worker has it', () => {
  const auto = presets.find(({ name }) => name === 'live-720p30-auto') ?? scenario
  assert.equal(planLive({ scenario: auto, workers: [{ capabilities: ['encoder:h264_qsv'] }] }).video.encoder, 'h264_qsv')
  assert.equal(planLive({ scenario: auto }).video.encoder, 'libx264')
})

test('a scenario for files is refused', () => {
  assert.throws(
    () => planLive({ scenario: scenarioOf() }),
    (error) => error instanceof AppError && error.code === 'SCENARIO_INVALID',
  )
})
