import { VarintReader, varintBytes, writeVarint } from '#bytes/varint.ts'
import { AppError } from '#lib/errors.ts'
import { compress, decompress, type Compression } from './compression.ts'
import {
  batchHeaderBytes,
  checkBatch,
  compressionOf,
  hasAppendTime,
  readBatchHeader,
  writeBatchHeader,
  type BatchHeader,
} from './record-batch.ts'

/** A name may come more than once, and in an order that matters. */
export type RecordHeader = { readonly key: string; readonly value: Buffer | null }

/** `timestampMs` is a whole number of milliseconds since 1970. */
export type NewRecord = {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
  readonly timestampMs: number
}

export type LogRecord = NewRecord & { readonly offset: number }

type EncodeOptions = {
  /** None if absent. */
  readonly compression?: Compression
  /** An idempotent producer, and the sequence number of the first record. */
  readonly producer?: { readonly id: number; readonly epoch: number; readonly baseSequence: number }
}

type DecodeOptions = {
  /** Only records from this offset on; those before are passed over without being made. */
  readonly fromOffset?: number
  /** At most this many records. */
  readonly maxRecords?: number
  /** What the records may take when decompressed; 128 MiB if absent. */
  readonly maxBytes?: number
}

const defaultMaxBytes = 128 * 1024 * 1024
const maxBatchBytes = 2 ** 31 - 1
/** Length, attributes, time, offset, key, value, headers: a byte each. */
const minRecordBytes = 7
/** Key and value: a byte each. */
const minHeaderBytes = 2
const noHeaders: readonly RecordHeader[] = []

/**
 * A RecordBatch v2 at base offset 0 with the right CRC. One core makes 8 million records of 128 bytes a second, 1,000 a batch; 2 million of
 * them one a batch (`bench/record-batch.ts`).
 *
 * Throws `RECORD_BATCH_INVALID` without records, `RECORD_BATCH_TOO_LARGE` above 2 GiB.
 */
export function encodeBatch(records: readonly NewRecord[], options: EncodeOptions = {}): Buffer {
  const { compression = 'none', producer } = options
  const batch = compression === 'none' ? plainBatch(records) : compressedBatch(records, compression)
  writeBatchHeader(batch, {
    compression,
    baseTimestampMs: baseTimestamp(records),
    maxTimestampMs: records.reduce((latest, { timestampMs }) => Math.max(latest, timestampMs), -1),
    producerId: producer?.id ?? -1,
    producerEpoch: producer?.epoch ?? -1,
    baseSequence: producer?.baseSequence ?? -1,
    recordCount: records.length,
  })
  return batch
}

/**
 * The records of one batch; keys and values are views into it, or into what was decompressed. One core reads 13 million records of 128 bytes a second,
 * 1,000 a batch; when only the last ten of these are wanted, the checksum is most of the work (15 µs in place of 70; `bench/record-batch.ts`).
 *
 * Throws `TRUNCATED`, `RECORD_BATCH_CORRUPT`, `RECORD_BATCH_INVALID`; `UNSUPPORTED` for a compression with a dictionary; `LIMIT_EXCEEDED` when the records
 * are larger than `maxBytes`.
 */
export function decodeBatch(bytes: Buffer, options: DecodeOptions = {}): LogRecord[] {
  const { fromOffset = 0, maxRecords = Infinity, maxBytes = defaultMaxBytes } = options
  const header = readBatchHeader(bytes)
  checkBatch(bytes, header)
  const reader = new VarintReader(decompress(compressionOf(header), bytes.subarray(batchHeaderBytes), maxBytes))
  if (header.recordCount > reader.remaining / minRecordBytes) {
    throw new AppError('RECORD_BATCH_INVALID', `${header.recordCount} records in ${reader.remaining} bytes ${placeOf(header)}`)
  }
  const records: LogRecord[] = []
  let delta = 0
  try {
    for (; delta < header.recordCount && records.length < maxRecords; delta++) {
      if (header.baseOffset + delta < fromOffset) reader.skip(reader.varint())
      else records.push(readRecord(reader, header, delta))
    }
    if (delta === header.recordCount && reader.remaining > 0)
      throw new AppError('MALFORMED', `${reader.remaining} bytes follow it`)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError('RECORD_BATCH_INVALID', `record ${delta} ${placeOf(header)}: ${error.message}`, { cause: error })
  }
  return records
}

function plainBatch(records: readonly NewRecord[]): Buffer {
  const batch = Buffer.allocUnsafe(batchHeaderBytes + recordsBytes(records))
  writeRecords(batch, batchHeaderBytes, records)
  return batch
}

function compressedBatch(records: readonly NewRecord[], compression: Compression): Buffer {
  const plain = Buffer.allocUnsafe(recordsBytes(records))
  writeRecords(plain, 0, records)
  const packed = compress(compression, plain)
  const batch = Buffer.allocUnsafe(batchHeaderBytes + packed.length)
  packed.copy(batch, batchHeaderBytes)
  return batch
}

function baseTimestamp(records: readonly NewRecord[]): number {
  const [first] = records
  if (first === undefined) throw new AppError('RECORD_BATCH_INVALID', 'a record batch needs at least one record')
  return first.timestampMs
}

function recordsBytes(records: readonly NewRecord[]): number {
  const baseTimestampMs = baseTimestamp(records)
  let total = 0
  let delta = 0
  for (const record of records) {
    const length = bodyBytes(record, record.timestampMs - baseTimestampMs, delta)
    total += varintBytes(length) + length
    delta += 1
  }
  if (total <= maxBatchBytes - batchHeaderBytes) return total
  throw new AppError(
    'RECORD_BATCH_TOO_LARGE',
    `${records.length} records of ${total} bytes do not fit into one batch; send fewer`,
  )
}

function bodyBytes(record: NewRecord, timestampDelta: number, offsetDelta: number): number {
  let total = 1 + varintBytes(timestampDelta) + varintBytes(offsetDelta) + fieldBytes(record.key) + fieldBytes(record.value)
  total += varintBytes(record.headers.length)
  for (const { key, value } of record.headers) {
    const keyBytes = Buffer.byteLength(key)
    total += varintBytes(keyBytes) + keyBytes + fieldBytes(value)
  }
  return total
}

function fieldBytes(field: Buffer | null): number {
  return field === null ? 1 : varintBytes(field.length) + field.length
}

function writeRecords(bytes: Buffer, start: number, records: readonly NewRecord[]): void {
  const baseTimestampMs = baseTimestamp(records)
  let at = start
  let offsetDelta = 0
  for (const record of records) {
    const timestampDelta = record.timestampMs - baseTimestampMs
    at = writeVarint(bytes, at, bodyBytes(record, timestampDelta, offsetDelta)) // length
    bytes[at] = 0 // attributes
    at = writeVarint(bytes, at + 1, timestampDelta) // timestampDelta
    at = writeVarint(bytes, at, offsetDelta) // offsetDelta
    at = writeField(bytes, at, record.key) // key
    at = writeField(bytes, at, record.value) // value
    at = writeVarint(bytes, at, record.headers.length) // headersCount
    for (const header of record.headers) at = writeHeader(bytes, at, header) // headers
    offsetDelta += 1
  }
}

function writeHeader(bytes: Buffer, at: number, header: RecordHeader): number {
  const keyBytes = Buffer.byteLength(header.key)
  const keyAt = writeVarint(bytes, at, keyBytes)
  bytes.write(header.key, keyAt, keyBytes) // headerKey
  return writeField(bytes, keyAt + keyBytes, header.value) // value
}

function writeField(bytes: Buffer, at: number, field: Buffer | null): number {
  if (field === null) return writeVarint(bytes, at, -1)
  const next = writeVarint(bytes, at, field.length)
  bytes.set(field, next)
  return next + field.length
}

function readRecord(reader: VarintReader, header: BatchHeader, delta: number): LogRecord {
  const length = reader.varint() // length
  const end = reader.pos + length
  reader.skip(1) // attributes
  const timestampDelta = reader.varint() // timestampDelta
  const offsetDelta = reader.varint() // offsetDelta
  const key = readField(reader) // key
  const value = readField(reader) // value
  const headers = readHeaders(reader) // headers
  if (reader.pos !== end)
    throw new AppError('MALFORMED', `it has ${length} bytes, its fields end at ${reader.pos - end + length}`)
  if (offsetDelta !== delta) throw new AppError('MALFORMED', `its offset delta is ${offsetDelta}`)
  const timestampMs = hasAppendTime(header) ? header.maxTimestampMs : header.baseTimestampMs + timestampDelta
  return { offset: header.baseOffset + delta, timestampMs, key, value, headers }
}

/** Any negative length is null, as the Java client has it. */
function readField(reader: VarintReader): Buffer | null {
  const length = reader.varint()
  return length < 0 ? null : reader.slice(length)
}

function readHeaders(reader: VarintReader): readonly RecordHeader[] {
  const count = reader.varint()
  if (count === 0) return noHeaders
  if (count < 0 || count > reader.remaining / minHeaderBytes) {
    throw new AppError('MALFORMED', `it announces ${count} headers in ${reader.remaining} bytes`)
  }
  const headers: RecordHeader[] = []
  for (let i = 0; i < count; i++) {
    const key = reader.slice(reader.varint()).toString() // headerKey
    headers.push({ key, value: readField(reader) }) // value
  }
  return headers
}

function placeOf(header: BatchHeader): string {
  return `of the batch at offset ${header.baseOffset}`
}
