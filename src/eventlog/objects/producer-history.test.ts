import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProducerBatch } from '../metadata/log-metadata.ts'
import type { IndexedRun } from './object-index.ts'
import { ProducerHistory } from './producer-history.ts'

function batch(offset: number): ProducerBatch {
  return { firstSequence: offset, lastSequence: offset, baseOffset: offset, lastOffset: offset, timestampMs: 1 }
}

function runOf(producerId: number, producerEpoch: number, offsets: readonly number[]): IndexedRun {
  const row = { partitionId: 5, epoch: 1, baseOffset: 0, lastOffset: 0, positionBytes: 0, lengthBytes: 1 }
  return {
    topicId: 'a',
    topicName: 'a',
    partition: 0,
    row: { ...row, minTimestampMs: 0, maxTimestampMs: 0, batchCount: 1, sparse: [] },
    producers: [{ producerId, producerEpoch, batches: offsets.map(batch) }],
  }
}

const runs: [IndexedRun, number][] = [
  [runOf(1, 0, [1, 2, 3]), 10],
  [runOf(1, 0, [7, 8, 9]), 30],
  [runOf(1, 0, [4]), 20],
  [runOf(2, 3, [20]), 40],
  [runOf(2, 4, [30]), 50],
  [runOf(2, 3, [21, 22]), 45],
]
const expected = [
  { partitionId: 5, producerId: 1, producerEpoch: 0, batches: [3, 4, 7, 8, 9].map(batch), updatedAtMs: 30 },
  { partitionId: 5, producerId: 2, producerEpoch: 4, batches: [batch(30)], updatedAtMs: 50 },
]

for (const [name, ordered] of [
  ['order', runs],
  ['reverse order', runs.toReversed()],
] as const) {
  test(`runs in ${name} give the last five batches of the newest epoch`, () => {
    const history = new ProducerHistory()
    for (const [run, storedAtMs] of ordered) history.add(run, storedAtMs)
    assert.deepEqual(
      history.rows().toSorted((one, other) => one.producerId - other.producerId),
      expected,
    )
  })
}

test('producers that were silent for a day are left out', () => {
  const history = new ProducerHistory()
  history.add(runOf(1, 0, [1]), 1_000)
  history.add(runOf(2, 0, [2]), 2_000)
  history.add({ ...runOf(3, 0, []), producers: [] }, 86_401_001)
  assert.deepEqual(
    history.rows().map(({ producerId }) => producerId),
    [2],
  )
})
