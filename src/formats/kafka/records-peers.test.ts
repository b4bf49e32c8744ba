import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { NumericMap, Reader, createRecordsBatch, readRecordsBatch } from '@platformatic/kafka'
import { batchHeaderBytes, checkBatch, placeBatch, readBatchHeader, stampAppendTime } from './record-batch.ts'
import { decodeBatch, encodeBatch, type LogRecord, type NewRecord } from './records.ts'

// Batches of real clients decode here, and ours there. Their own encoders are reached into; sockets are for the tests of the server.

type KafkajsHeaders = Record<string, Buffer | Buffer[]>
type KafkajsRecord = { key: Buffer | null; value: Buffer | null; offset: string; timestamp: string; headers: KafkajsHeaders }
type KafkajsBatch = {
  firstOffset: string
  producerId: string
  firstSequence: number
  lastOffsetDelta: number
  records: KafkajsRecord[]
}
type NewKafkajsRecord = {
  offsetDelta: number
  timestampDelta: number
  key: Buffer | null
  value: Buffer | null
  headers: KafkajsHeaders
}

const require = createRequire(import.meta.url)
const kafkajs: {
  RecordBatch(options: object): Promise<{ buffer: Buffer }>
} = require('kafkajs/src/protocol/recordBatch/v0/index.js')
const encodeKafkajsRecord: (record: NewKafkajsRecord) => unknown = require('kafkajs/src/protocol/recordBatch/record/v0/index.js')
const decodeKafkajs: (decoder: object) => Promise<KafkajsBatch> = require('kafkajs/src/protocol/recordBatch/v0/decoder.js')
const KafkajsDecoder: new (bytes: Buffer) => object = require('kafkajs/src/protocol/decoder.js')

const time = 1_700_000_000_000
const records: NewRecord[] = Array.from({ length: 300 }, (_, i) => ({
  key: i % 3 === 0 ? null : Buffer.from(`key ${i}`),
  value: i % 7 === 0 ? null : Buffer.from(`value ${i} `.repeat(i % 20)),
  headers:
    i % 5 === 0
      ? [
          { key: `trace-${i}`, value: Buffer.from(String(i)) },
          { key: 'größe', value: Buffer.alloc(i % 3) },
        ]
      : [],
  timestampMs: time + (i % 11) * 100_000_000 - (i % 2) * 50,
}))
const maxTimestampMs = Math.max(...records.map(({ timestampMs }) => timestampMs))
const atOffset = (base: number): LogRecord[] => records.map((record, i) => ({ ...record, offset: base + i }))

for (const [name, compression] of [
  ['none', 0],
  ['gzip', 1],
] as const) {
  test(`a batch of kafkajs, ${name}, decodes here`, async () => {
    const { buffer: batch } = await kafkajs.RecordBatch({
      compression,
      firstTimestamp: time,
      maxTimestamp: maxTimestampMs,
      lastOffsetDelta: records.length - 1,
      producerId: 4001,
      producerEpoch: 2,
      firstSequence: 77,
      records: records.map(toKafkajs),
    })
    const header = readBatchHeader(batch)
    checkBatch(batch, header)
    assert.equal(header.producerId, 4001)
    assert.equal(header.producerEpoch, 2)
    assert.equal(header.baseSequence, 77)
    assert.equal(header.maxTimestampMs, maxTimestampMs)
    placeBatch(batch, { baseOffset: 1_000_000_000_000, leaderEpoch: 0 })
    assert.deepEqual(decodeBatch(batch), atOffset(1_000_000_000_000))
    if (name === 'none') assert.deepEqual(encodeBatch(records).subarray(batchHeaderBytes), batch.subarray(batchHeaderBytes))
  })

  test(`a batch of ours, ${name}, decodes with kafkajs`, async () => {
    const batch = encodeBatch(records, { compression: name, producer: { id: 4001, epoch: 2, baseSequence: 77 } })
    placeBatch(batch, { baseOffset: 1_000_000_000_000, leaderEpoch: 0 })
    const decoded = await decodeKafkajs(new KafkajsDecoder(batch))
    assert.equal(decoded.firstOffset, '1000000000000')
    assert.equal(decoded.producerId, '4001')
    assert.equal(decoded.firstSequence, 77)
    assert.equal(decoded.lastOffsetDelta, 299)
    assert.deepEqual(decoded.records.map(fromKafkajs), atOffset(1_000_000_000_000))
  })
}

test('kafkajs sees the time of the append', async () => {
  const batch = encodeBatch(records)
  stampAppendTime(batch, time + 7)
  const decoded = await decodeKafkajs(new KafkajsDecoder(batch))
  assert.ok(decoded.records.every(({ timestamp }) => timestamp === String(time + 7)))
})

for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
  test(`a batch of @platformatic/kafka, ${compression}, decodes here`, () => {
    const messages = records.map(({ key, value, headers, timestampMs }) => ({
      topic: 'orders',
      partition: 0,
      // Its types know no null value, its encoder does.
      ...(key === null ? {} : { key }),
      value: value ?? Buffer.alloc(0),
      headers: new Map(headers.map((header) => [Buffer.from(header.key), header.value ?? Buffer.alloc(0)])),
      timestamp: BigInt(timestampMs),
    }))
    const options = { compression, producerId: 4001n, producerEpoch: 2, sequences: new NumericMap(), partitionLeaderEpoch: 0 }
    const batch = createRecordsBatch(messages, options).buffer
    checkBatch(batch, readBatchHeader(batch))
    assert.equal(readBatchHeader(batch).maxTimestampMs, maxTimestampMs)
    const expected = atOffset(0).map((record) => ({ ...record, value: record.value ?? Buffer.alloc(0) }))
    assert.deepEqual(decodeBatch(batch), expected)
  })

  test(`a batch of ours, ${compression}, decodes with @platformatic/kafka`, () => {
    const batch = encodeBatch(records, { compression })
    placeBatch(batch, { baseOffset: 500, leaderEpoch: 0 })
    const { firstOffset, firstTimestamp, records: decoded } = readRecordsBatch(Reader.from(batch))
    const found = decoded.map(({ offsetDelta, timestampDelta, key, value, headers }) => ({
      key,
      value,
      headers: headers.map(([name, content]) => ({ key: String(name), value: content })),
      timestampMs: Number(firstTimestamp + timestampDelta),
      offset: Number(firstOffset) + offsetDelta,
    }))
    assert.deepEqual(found, atOffset(500))
  })
}

function toKafkajs({ key, value, headers, timestampMs }: NewRecord, offsetDelta: number): unknown {
  const named = headers.map((header): [string, Buffer] => [header.key, header.value ?? Buffer.alloc(0)])
  return encodeKafkajsRecord({ offsetDelta, timestampDelta: timestampMs - time, key, value, headers: Object.fromEntries(named) })
}

function fromKafkajs({ key, value, offset, timestamp, headers }: KafkajsRecord): LogRecord {
  const list = Object.entries(headers).flatMap(([name, content]) => [content].flat().map((one) => ({ key: name, value: one })))
  return { key, value, headers: list, timestampMs: Number(timestamp), offset: Number(offset) }
}
