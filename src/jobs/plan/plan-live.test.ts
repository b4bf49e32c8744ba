import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { presets } from '../scenarios/presets.ts'
import { planLive } from './plan-live.ts'
import { scenarioOf } from './probe.fixture.ts'

const scenario = presets.find(({ name }) => name === 'live-720p30') ?? scenarioOf()

test('a live job is one task that needs the encoders of picture and sound', () => {
  const { task, ...plan } = planLive({ scenario, source: { width: 1920, height: 1080, frameRate: { num: 25, den: 1 } } })
  assert.deepEqual([plan.width, plan.height], [1280, 720])
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
  const { width, height, video } = planLive({ scenario })
  assert.deepEqual([width, height, video.gopFrames], [1280, 720, 30])
})

test('a stream is not scaled up', () => {
  const { width, height } = planLive({ scenario, source: { width: 640, height: 480 } })
  assert.deepEqual([width, height], [640, 480])
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
