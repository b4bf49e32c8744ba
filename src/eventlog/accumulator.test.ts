import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { encodeBatch } from '#formats/kafka/records.ts'
import { ManualClock } from '#lib/clock.ts'
import { ManualTimers } from '#lib/timers.ts'
import { Accumulator, type Gathered } from './accumulator.ts'
import { LogSpan } from './log-span.ts'
import { Partition } from './partition.ts'

const limits = { objectBytes: 1000, objectMilliseconds: 5000, objectAckMilliseconds: 100 }
const config = {
  durability: 'wal',
  retentionMs: -1,
  retentionBytes: -1,
  maxMessageBytes: 1_000_000,
  timestampType: 'CreateTime',
} as const
const topic = { id: 't', name: 't', config, durability: 'wal' } as const
const row = {
  topicId: 't',
  index: 0,
  owner: null,
  epoch: 0,
  dirtyWal: null,
  offsetCeiling: 0,
  nextOffset: 0,
  logStart: 0,
  sizeBytes: 0,
}

function open(given = limits) {
  const clock = new ManualClock()
  const timers = new ManualTimers(clock)
  const closed: Gathered[] = []
  const accumulator = new Accumulator({ limits: given, clock, timers, onClosed: (gathered) => closed.push(gathered) })
  const partitions = [1, 2].map((partitionId) => new Partition({ ...row, partitionId }, { topic, clock }))
  const [first, second] = [partitions[0] ?? assert.fail(), partitions[1] ?? assert.fail()]
  return { accumulator, closed, first, second, advance: (ms: number) => timers.advance(ms) }
}

function batch(valueBytes: number): LogSpan {
  const bytes = encodeBatch([{ key: null, value: Buffer.alloc(valueBytes), headers: [], timestampMs: 1 }])
  return new LogSpan(readBatchHeader(bytes), 0, bytes)
}

test('an object is closed when it is large enough', () => {
  const { accumulator, closed, first, second } = open()
  accumulator.add(first, batch(300), { isAwaited: false })
  accumulator.add(second, batch(300), { isAwaited: false })
  assert.equal(closed.length, 0)
  accumulator.add(first, batch(300), { isAwaited: false })
  assert.deepEqual(
    closed.map(({ runs }) => [...runs].map(([partition, batches]) => [partition.id, batches.length])),
    [
      [
        [1, 2],
        [2, 1],
      ],
    ],
  )
})

test('an object is closed when it is old enough, and earlier when somebody waits for it', async () => {
  const { accumulator, closed, first, advance } = open()
  accumulator.add(first, batch(10), { isAwaited: false })
  await advance(4999)
  assert.equal(closed.length, 0)
  await advance(1)
  assert.equal(closed.length, 1)
  accumulator.add(first, batch(10), { isAwaited: false })
  accumulator.add(first, batch(10), { isAwaited: true })
  await advance(100)
  assert.equal(closed.length, 2)
  await advance(10_000)
  assert.equal(closed.length, 2)
})

test('an object is closed when it has many batches', () => {
  const { accumulator, closed, first } = open({ ...limits, objectBytes: 2 ** 30 })
  const one = batch(1)
  for (let index = 0; index < 32_769; index++) accumulator.add(first, one, { isAwaited: false })
  assert.deepEqual(
    closed.map(({ runs }) => runs.get(first)?.length),
    [32_768],
  )
})
