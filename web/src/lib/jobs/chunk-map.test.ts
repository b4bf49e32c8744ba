import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleTasks } from '../../../../test/support/job-samples.ts'
import { chunkRows } from './chunk-map.ts'

test('each rendition is a row of its chunks, and all other steps are one more', () => {
  const rows = chunkRows(sampleTasks({ done: 2 }))
  assert.deepEqual(
    rows.map(({ name, cells, done }) => [name, cells.length, done]),
    [
      ['1080p', 5, 2],
      ['720p', 5, 2],
      ['480p', 5, 2],
      ['Steps', 4, 3],
    ],
  )
  assert.deepEqual(
    rows[1]?.cells.map(({ task, share }) => [task.state, share]),
    [
      ['done', 1],
      ['done', 1],
      ['leased', 0.4],
      ['ready', 0],
      ['ready', 0],
    ],
  )
  assert.equal(rows[1].share, 0.48)
})

test('chunks come in the order of the film, whatever order the tasks have, and are as wide as they are long', () => {
  const tasks = sampleTasks().map((task) => (task.chunk === 4 ? { ...task, totalFrames: 300 } : task))
  const [row] = chunkRows(tasks.toReversed().filter(({ rendition }) => rendition === '720p'))
  assert.deepEqual(
    row?.cells.map(({ task, weight }) => [task.chunk, weight]),
    [0, 1, 2, 3].map((chunk) => [chunk, 1500]).concat([[4, 300]]),
  )
})

test('a chunk says what becomes of it', () => {
  const labels = chunkRows(sampleTasks({ done: 2, failed: 2 }))[0]?.cells.map(({ label }) => label)
  assert.deepEqual(labels, [
    '1080p, chunk 1 is done: encoder-1',
    '1080p, chunk 2 is done: encoder-1, try 3',
    '1080p, chunk 3 failed: encoder-1, the codec process ended with SIGKILL',
    '1080p, chunk 4 waits for a worker',
    '1080p, chunk 5 waits for a worker',
  ])
})

test('a job without pictures has one row, and one without tasks none', () => {
  assert.deepEqual(
    chunkRows(sampleTasks().filter(({ kind }) => kind !== 'video')).map(({ name }) => name),
    ['Steps'],
  )
  assert.deepEqual(chunkRows([]), [])
})
