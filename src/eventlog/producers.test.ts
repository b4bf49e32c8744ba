import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBatchHeader, type BatchHeader } from '#formats/kafka/record-batch.ts'
import { encodeBatch } from '#formats/kafka/records.ts'
import { Producers } from './producers.ts'

/** The header of a batch of `count` records of producer 7. */
function batch(baseSequence: number, count = 1, epoch = 0): BatchHeader {
  const records = Array.from({ length: count }, () => ({ key: null, value: null, headers: [], timestampMs: 5 }))
  return readBatchHeader(encodeBatch(records, { producer: { id: 7, epoch, baseSequence } }))
}

function appendAll(producers: Producers<string>, headers: readonly BatchHeader[]): void {
  let baseOffset = 0
  for (const header of headers) {
    const lastOffset = baseOffset + header.recordCount - 1
    producers.remember(header, { baseOffset, lastOffset, nowMs: 1000, batch: `at ${baseOffset}` })
    baseOffset = lastOffset + 1
  }
}

const cases: { title: string; before: BatchHeader[]; next: BatchHeader; answer: string }[] = [
  { title: 'the first batch of an unknown producer', before: [], next: batch(40), answer: 'new' },
  { title: 'the batch that follows', before: [batch(0, 3)], next: batch(3), answer: 'new' },
  { title: 'the same batch again', before: [batch(0, 3), batch(3)], next: batch(0, 3), answer: 'at 0' },
  { title: 'one of the last five again', before: [0, 1, 2, 3, 4].map((n) => batch(n)), next: batch(0), answer: 'at 0' },
  { title: 'a part of a batch', before: [batch(0, 3)], next: batch(0, 2), answer: 'PRODUCER_SEQUENCE_GAP' },
  { title: 'a batch behind a missing one', before: [batch(0)], next: batch(2), answer: 'PRODUCER_SEQUENCE_GAP' },
  { title: 'an older epoch', before: [batch(0, 1, 2)], next: batch(1, 1, 1), answer: 'PRODUCER_FENCED' },
  { title: 'a newer epoch from its beginning', before: [batch(0), batch(1)], next: batch(0, 1, 1), answer: 'new' },
  { title: 'a newer epoch in its middle', before: [batch(0)], next: batch(5, 1, 1), answer: 'PRODUCER_SEQUENCE_GAP' },
  { title: 'sequences that begin again', before: [batch(2 ** 31 - 1)], next: batch(0), answer: 'new' },
  { title: 'a batch over that end', before: [batch(2 ** 31 - 2, 4)], next: batch(2), answer: 'new' },
]
for (const { title, before, next, answer } of cases) {
  test(`${title}: ${answer}`, () => {
    const producers = new Producers<string>()
    appendAll(producers, before)
    if (answer.startsWith('PRODUCER')) {
      assert.throws(() => producers.checkOrder(next), { code: answer })
      return
    }
    const duplicate = producers.findDuplicate(next)
    if (!duplicate) producers.checkOrder(next)
    assert.equal(duplicate?.batch ?? 'new', answer)
  })
}

test('what is stored ends with what is committed, however much is in flight behind it', () => {
  const producers = new Producers<string>()
  appendAll(
    producers,
    Array.from({ length: 20 }, (_, n) => batch(n)),
  )
  const row = producers.rowAt(8, { partitionId: 1, producerId: 7 })
  assert.deepEqual(
    row?.batches.map(({ firstSequence }) => firstSequence),
    [3, 4, 5, 6, 7],
  )
  producers.trim(7, 8)
  assert.equal(producers.findDuplicate(batch(3))?.baseOffset, 3)
  assert.equal(producers.findDuplicate(batch(2)), undefined)
  assert.throws(() => producers.checkOrder(batch(2)), { code: 'PRODUCER_SEQUENCE_GAP' })
  assert.equal(producers.rowAt(0, { partitionId: 1, producerId: 7 }), undefined)
})

test('batches that were taken back have never been', () => {
  const producers = new Producers<string>()
  appendAll(producers, [batch(0), batch(1), batch(2)])
  producers.rewind(1)
  assert.equal(producers.findDuplicate(batch(1)), undefined)
  assert.equal(producers.findDuplicate(batch(2)), undefined)
  assert.throws(() => producers.checkOrder(batch(2)), { code: 'PRODUCER_SEQUENCE_GAP' })
  producers.rewind(0)
  assert.throws(() => producers.checkOrder(batch(1)), { code: 'PRODUCER_SEQUENCE_GAP' })
  producers.checkOrder(batch(0))
})

test('a stored producer goes on where it was', () => {
  const producers = new Producers<string>()
  const stored = { firstSequence: 4, lastSequence: 6, baseOffset: 100, lastOffset: 102, timestampMs: 1 }
  producers.restore({ partitionId: 1, producerId: 7, producerEpoch: 0, batches: [stored], updatedAtMs: 1 })
  assert.equal(producers.findDuplicate(batch(4, 3))?.baseOffset, 100)
  producers.checkOrder(batch(7))
})
