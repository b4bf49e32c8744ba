import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleJob, samplePlan, sampleScenario } from '../../../../test/support/job-samples.ts'
import {
  encoderText,
  frameRateText,
  framesText,
  isLiveJob,
  jobMark,
  jobTitle,
  paceText,
  percent,
  probeText,
  progressTone,
  rateText,
  renditionsText,
  sourceText,
  speedText,
  taskText,
  tookMs,
} from './job-texts.ts'

test('a job is called by its label, or by its source', () => {
  assert.equal(jobTitle(sampleJob({ label: 'Evening' })), 'Evening')
  for (const [source, text] of [
    [{ object: 'films/2026/a b.mp4' }, 'a b.mp4'],
    [{ url: 'https://example.com/films/a%20b.mp4?token=x' }, 'a b.mp4'],
    [{ url: 'https://example.com/%E0%A4%A' }, '%E0%A4%A'],
    [{ url: 'https://example.com/' }, 'example.com'],
    [{ stream: 'site/gate' }, 'site/gate'],
    [{ recording: { stream: 'gate', from: '2026-01-01T00:00:00Z', to: '2026-01-01T01:00:00Z' } }, 'gate'],
  ] as const)
    assert.equal(sourceText({ source }), text)
})

test('progress is never all before it is all', () => {
  assert.equal(percent(0.9999), '99 %')
  assert.equal(percent(1), '100 %')
})

test('speeds have as many digits as matter', () => {
  assert.deepEqual([0.034, 0.5, 3.27, 9.96, 42.4].map(speedText), ['0.03×', '0.5×', '3.3×', '10×', '42×'])
})

test('a job that was told to stop says so until it has', () => {
  assert.equal(jobMark(sampleJob({ isCancelRequested: true })).text, 'Canceling')
  assert.equal(jobMark(sampleJob({ isCancelRequested: true, isOver: true, state: 'canceled' })).text, 'Canceled')
  assert.equal(progressTone(sampleJob()), undefined)
  assert.equal(progressTone(sampleJob({ done: 5 })), 'good')
  assert.equal(progressTone(sampleJob({ state: 'timed_out', isOver: true })), 'bad')
})

test('a live job has no progress, only frames', () => {
  const live = sampleJob({ input: { source: { stream: 'gate' }, target: { stream: 'gate-720p' } }, totalFrames: 0, frames: 1200 })
  assert.ok(isLiveJob(live))
  assert.ok(!isLiveJob(sampleJob()))
  assert.deepEqual([framesText(live), framesText(sampleJob())], ['1,200 frames', '10,800 of 22,500 frames'])
})

test('what is not known is left out', () => {
  assert.equal(paceText({ speed: 3.3, secondsLeft: 95, isOver: false }), '3.3× · 2 min left')
  assert.equal(paceText({ speed: 0, isOver: false }), '')
  assert.equal(paceText({ speed: 3.3, secondsLeft: 0, isOver: true }), '')
  assert.equal(tookMs({}, 1000), undefined)
  assert.equal(tookMs({ startedAt: '1970-01-01T00:00:01.000Z' }, 5000), 4000)
  assert.equal(tookMs({ startedAt: '1970-01-01T00:00:01.000Z', finishedAt: '1970-01-01T00:00:03.000Z' }, 5000), 2000)
})

test('plans and scenarios are told in the words of those who encode', () => {
  const { probe, renditions } = samplePlan()
  assert.equal(probeText(probe), '1920×1080 · 25 fps · H264 · AAC 2 ch')
  const [first] = renditions
  assert.ok(first)
  assert.equal(encoderText(first.video), 'libx264 medium · CRF 21')
  assert.equal(encoderText({ ...first.video, bitDepth: 10, hdr: { kind: 'hdr10' } }), 'libx264 medium · CRF 21 · 10 bit · HDR10')
  assert.equal(frameRateText({ num: 30_000, den: 1001 }), '29.97 fps')
  assert.equal(rateText({ mode: 'capped', crf: 20, maxBitsPerSecond: 4_000_000, bufferMs: 1000 }), 'CRF 20 up to 4.0 Mbit/s')
  assert.equal(rateText({ mode: 'average', bitsPerSecond: 800_000, maxBitsPerSecond: 1_000_000, bufferMs: 1000 }), '800 kbit/s')
  assert.equal(renditionsText(sampleScenario()), '1080p 720p 480p H264')
  assert.equal(renditionsText({ renditions: [] }), 'Only sound')
})

test('tasks are named for people, and chunks are counted from one', () => {
  assert.equal(taskText({ kind: 'video', rendition: '720p', chunk: 0 }), '720p, chunk 1')
  assert.equal(taskText({ kind: 'audio', rendition: 'audio-0', chunk: 0 }), 'Sound audio-0')
  assert.equal(taskText({ kind: 'package', rendition: '', chunk: 0 }), 'Package and verify')
})
