import { varintBytes, writeVarint } from '#bytes/varint.ts'
import { AppError } from '#lib/errors.ts'
import { partitionFor } from '../kafka/partitioner.ts'
import { batchHeaderBytes, writeBatchHeader } from '../kafka/record-batch.ts'
import type { Spans } from './message.ts'
import { RecordCursor } from './record-cursor.ts'

/** A record batch as Kafka has it, at base offset 0. */
export type NewBatch = { readonly bytes: Buffer; readonly recordCount: number }

export type BatchOptions = {
  /** The time of records that have none. */
  readonly nowMs: number
  /** Batches are cut at this size, if they have more than one record. */
  readonly targetBytes: number
}

const maxBatchBytes = 2 ** 31 - 1

/**
 * The records of a request as record batches, in their order. They are read where they lie, once to know how long a batch will be and once to write it: 5
 * million records of 128 bytes a second on one core, 100 a batch.
 *
 * `chosen` are the numbers of the records that are wanted; all of them if absent. Throws `TRUNCATED`, `MALFORMED`, `RECORD_BATCH_TOO_LARGE`.
 */
export function encodeBatches(spans: Spans, options: BatchOptions, chosen?: readonly number[]): NewBatch[] {
  const cursor = new RecordCursor(spans)
  const total = chosen ? chosen.length : spans.count
  const batches: NewBatch[] = []
  for (let from = 0; from < total;) {
    const batch = encodeBatch(cursor, { ...options, chosen, from, total })
    batches.push(batch)
    from += batch.recordCount
  }
  return batches
}

/**
 * Which records of a request go to which partition: those with a key where Kafka's Java client would send them, the others to `keylessPartition`. Partitions without
 * records are not there. Throws `TRUNCATED`, `MALFORMED`.
 */
export function groupByPartition(
  spans: Spans,
  { partitionCount, keylessPartition }: { partitionCount: number; keylessPartition: number },
): ReadonlyMap<number, readonly number[]> {
  const cursor = new RecordCursor(spans)
  const groups = new Map<number, number[]>()
  for (let index = 0; index < spans.count; index++) {
    cursor.read(index)
    const { keyAt, keyEnd } = cursor
    const partition = keyAt < 0 ? keylessPartition : partitionFor(spans.bytes.subarray(keyAt, keyEnd), partitionCount)
    const group = groups.get(partition)
    if (group) group.push(index)
    else groups.set(partition, [index])
  }
  return groups
}

type Range = BatchOptions & { readonly chosen: readonly number[] | undefined; readonly from: number; readonly total: number }
type Measure = {
  /** Bytes of each record, without the length in front. */
  readonly bodies: readonly number[]
  readonly sizeBytes: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
}

/** One batch of the records from `from` on: as many as fit. */
function encodeBatch(cursor: RecordCursor, range: Range): NewBatch {
  const { bodies, sizeBytes, baseTimestampMs, maxTimestampMs } = measure(cursor, range)
  if (sizeBytes > maxBatchBytes) {
    throw new AppError('RECORD_BATCH_TOO_LARGE', `a record takes ${sizeBytes} bytes in a batch; send smaller ones`)
  }
  const bytes = Buffer.allocUnsafe(sizeBytes)
  let at = batchHeaderBytes
  for (let delta = 0; delta < bodies.length; delta++) {
    cursor.read(numberOf(range, delta))
    at = writeVarint(bytes, at, bodies[delta] ?? 0) // length
    bytes[at] = 0 // attributes
    at = writeVarint(bytes, at + 1, timeOf(cursor, range) - baseTimestampMs) // timestampDelta
    at = writeVarint(bytes, at, delta) // offsetDelta
    at = writeRecord(bytes, at, cursor)
  }
  const recordCount = bodies.length
  const noProducer = { producerId: -1, producerEpoch: -1, baseSequence: -1 }
  writeBatchHeader(bytes, { ...noProducer, compression: 'none', baseTimestampMs, maxTimestampMs, recordCount })
  return { bytes, recordCount }
}

function measure(cursor: RecordCursor, range: Range): Measure {
  const { from, total, targetBytes } = range
  const bodies: number[] = []
  let sizeBytes = batchHeaderBytes
  let baseTimestampMs = 0
  let maxTimestampMs = 0
  for (let delta = 0; from + delta < total; delta++) {
    cursor.read(numberOf(range, delta))
    const timestampMs = timeOf(cursor, range)
    if (delta === 0) baseTimestampMs = timestampMs
    const body = 1 + varintBytes(timestampMs - baseTimestampMs) + varintBytes(delta) + recordBytes(cursor)
    const recordEnd = sizeBytes + varintBytes(body) + body
    if (delta > 0 && recordEnd > targetBytes) break
    sizeBytes = recordEnd
    maxTimestampMs = Math.max(maxTimestampMs, timestampMs)
    bodies.push(body)
  }
  return { bodies, sizeBytes, baseTimestampMs, maxTimestampMs }
}

function numberOf({ chosen, from }: Range, delta: number): number {
  return chosen ? (chosen[from + delta] ?? 0) : from + delta
}

function timeOf({ timestampMs }: RecordCursor, { nowMs }: Range): number {
  return timestampMs === 0 ? nowMs : timestampMs
}

function recordBytes({ keyAt, keyEnd, valueAt, valueEnd, headers, headerCount }: RecordCursor): number {
  let total = fieldBytes(keyAt, keyEnd) + fieldBytes(valueAt, valueEnd) + varintBytes(headerCount)
  for (let index = 0; index < headers.length; index += 2) total += fieldBytes(headers[index] ?? 0, headers[index + 1] ?? 0)
  return total
}

function fieldBytes(from: number, to: number): number {
  return from < 0 ? 1 : varintBytes(to - from) + to - from
}

/** All after the offset delta. */
function writeRecord(bytes: Buffer, start: number, cursor: RecordCursor): number {
  const { bytes: source, keyAt, keyEnd, valueAt, valueEnd, headers, headerCount } = cursor
  let at = start
  const writeField = (from: number, to: number): void => {
    at = writeVarint(bytes, at, from < 0 ? -1 : to - from)
    if (from >= 0) at += source.copy(bytes, at, from, to)
  }
  writeField(keyAt, keyEnd) // key
  writeField(valueAt, valueEnd) // value
  at = writeVarint(bytes, at, headerCount) // headersCount
  for (let index = 0; index < headers.length; index += 2) writeField(headers[index] ?? 0, headers[index + 1] ?? 0) // headers
  return at
}
