import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBatch, encodeBatch } from '#formats/kafka/records.ts'
import { AppError } from '#lib/errors.ts'
import { openLog } from '../../test/support/log-agent.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import type { LogAgent } from './agent.ts'
import type { Appended } from './append-run.ts'

const ref = { topic: 'orders', partition: 0 } as const

function batchOf(value: string, producer?: { id: number; epoch: number; baseSequence: number }): Buffer {
  return encodeBatch([{ key: null, value: Buffer.from(value), headers: [], timestampMs: 1000 }], producer ? { producer } : {})
}

async function offer(agent: LogAgent, batches: readonly Buffer[]): Promise<readonly (Appended | AppError)[]> {
  let end = 0
  const packed = { bytes: Buffer.concat(batches), ends: batches.map(({ length }) => (end += length)) }
  return await new Promise((resolve) => agent.offer(ref, packed, { ack: 'wal' }, resolve))
}

async function fetchAt(agent: LogAgent, offset: number, maxBytes: number): Promise<string[]> {
  const [fetched] = await agent.fetch({ partitions: [{ ...ref, offset, maxBytes }], maxBytes, minBytes: 0, maxWaitMs: 0 })
  return (fetched?.batches ?? []).flatMap((batch) => decodeBatch(batch).map(({ value }) => String(value)))
}

const entriesOf = ({ stats }: LogAgent) => stats.wal?.entryCount
const placeOf = (result: Appended | AppError) => (result instanceof AppError ? result.code : result.baseOffset)

test('batches that lie one behind the other share an entry of the write-ahead log; each is answered and read by itself', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await log.agent.topics.create({ name: 'orders' })
  const batches = ['a', 'b', 'broken', 'c', 'd', 'e'].map((value) => batchOf(value))
  batches[2]?.writeUInt8(0xff, 64)
  const results = await offer(log.agent, batches)
  assert.deepEqual(results.map(placeOf), [0, 1, 'RECORD_BATCH_CORRUPT', 2, 3, 4])
  assert.equal(entriesOf(log.agent), 2)
  assert.equal(log.agent.stats.waitingBatches, 5)
  const expected = ['a', 'b', 'c', 'd', 'e']
  const readsRight = async () => {
    for (const [offset, value] of expected.entries()) assert.deepEqual(await fetchAt(log.agent, offset, 1), [value])
    for (const offset of expected.keys()) assert.deepEqual(await fetchAt(log.agent, offset, 10_000), expected.slice(offset))
    assert.deepEqual(await fetchAt(log.agent, 1, 2 * batchOf('b').length), ['b', 'c'])
  }
  await readsRight()
  await log.agent.flush()
  assert.equal(entriesOf(log.agent), 0)
  await readsRight()
})

test('spans end at 64 KiB, and with another producer', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await log.agent.topics.create({ name: 'orders' })
  const large = Array.from({ length: 5 }, () => batchOf('x'.repeat(30_000)))
  assert.deepEqual((await offer(log.agent, large)).map(placeOf), [0, 1, 2, 3, 4])
  assert.equal(entriesOf(log.agent), 3)
  const mixed = [7, 7, 8, 8].map((id, index) => batchOf('y', { id, epoch: 0, baseSequence: index % 2 }))
  assert.deepEqual((await offer(log.agent, mixed)).map(placeOf), [5, 6, 7, 8])
  assert.equal(entriesOf(log.agent), 5)
})

test('an idempotent batch that comes again within other batches is told where it is', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await log.agent.topics.create({ name: 'orders' })
  const batchAt = (baseSequence: number) => batchOf(`value ${baseSequence}`, { id: 9, epoch: 0, baseSequence })
  await offer(log.agent, [0, 1, 2].map(batchAt))
  const results = await offer(log.agent, [1, 2, 3, 4, 3].map(batchAt))
  assert.deepEqual(results.map(placeOf), [1, 2, 3, 4, 3])
  assert.deepEqual(
    results.map((result) => !(result instanceof AppError) && result.isDuplicate),
    [true, true, false, false, true],
  )
  assert.equal(entriesOf(log.agent), 2)
  assert.deepEqual(await fetchAt(log.agent, 3, 10_000), ['value 3', 'value 4'])
})
