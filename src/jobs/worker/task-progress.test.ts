import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TaskProgress } from './task-progress.ts'
import { chunkSpec } from './worker.fixture.ts'

test('frames of a task only grow', () => {
  const progress = new TaskProgress({ spec: chunkSpec(), totalFrames: 100 })
  for (const frames of [10, 5, 30.7, 30]) progress.made({ frames, totalFrames: 100, speed: Number.NaN })
  assert.deepEqual([progress.frames, progress.speed], [27, 0])
  progress.made({ frames: 130, totalFrames: 100, speed: 2 })
  assert.deepEqual([progress.frames, progress.speed], [90, 2])
  progress.sent(1000, 1000)
  assert.equal(progress.frames, 100)
})

test('where frames are not planned, those that were made count, and what was sent', () => {
  const progress = new TaskProgress({ spec: { kind: 'probe', source: 'source' }, totalFrames: 0 })
  progress.made({ frames: 5000, totalFrames: 0, speed: 1 })
  progress.sent(3 << 20, 9 << 20)
  assert.equal(progress.frames, 5003)
})

test('a package counts half of its frames when they are made and half when they are sent', () => {
  const spec = {
    kind: 'package' as const,
    format: 'cmaf' as const,
    timeline: { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 100 },
    segmentMs: 6000,
    tracks: [],
    pictures: [],
  }
  const progress = new TaskProgress({ spec, totalFrames: 100 })
  progress.made({ frames: 100, totalFrames: 100, speed: 1 })
  assert.equal(progress.frames, 50)
  progress.sent(500, 1000)
  assert.equal(progress.frames, 75)
  progress.sent(1000, 1000)
  assert.equal(progress.frames, 100)
})
