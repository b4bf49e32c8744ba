import { AppError } from '#lib/errors.ts'
import { compressions, type Compression } from './compression.ts'
import { crc32c } from './crc32c.ts'

/**
 * Fields of the header of a RecordBatch v2 (Kafka protocol, "Record Batch"; 61 bytes). `sizeBytes` is the whole batch: `batchLength` + 12. Times are
 * milliseconds since 1970, -1 for none; without an idempotent producer `producerId` is -1.
 */
export type BatchHeader = {
  readonly baseOffset: number
  readonly sizeBytes: number
  readonly leaderEpoch: number
  readonly crc: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** Where the records of a batch begin. */
export const batchHeaderBytes = 61

const magicV2 = 2
const magicEnd = 17
/** `baseOffset` and `batchLength`, which `batchLength` does not count. */
const lengthPrefixBytes = 12
/** The CRC covers all from `attributes` on, so that `baseOffset` and `partitionLeaderEpoch` can be patched. */
const crcFrom = 21
const attributeBits = { codec: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const

/**
 * Reads the header of the batch that begins at `at`; of the batch itself no more need be there. Throws `TRUNCATED`, and `RECORD_BATCH_INVALID` for what
 * is no RecordBatch v2.
 */
export function readBatchHeader(bytes: Buffer, at = 0): BatchHeader {
  if (bytes.length - at >= magicEnd) checkMagic(bytes.readInt8(at + 16))
  if (bytes.length - at < batchHeaderBytes) {
    throw new AppError('TRUNCATED', `a record batch begins with ${batchHeaderBytes} bytes, ${bytes.length - at} are there`)
  }
  const sizeBytes = bytes.readInt32BE(at + 8) + lengthPrefixBytes
  if (sizeBytes < batchHeaderBytes) {
    throw new AppError('RECORD_BATCH_INVALID', `record batch of ${sizeBytes} bytes; its header alone has ${batchHeaderBytes}`)
  }
  return {
    baseOffset: readI64(bytes, at), // baseOffset
    sizeBytes, // batchLength
    leaderEpoch: bytes.readInt32BE(at + 12), // partitionLeaderEpoch
    crc: bytes.readUInt32BE(at + 17), // crc
    attributes: bytes.readInt16BE(at + 21), // attributes
    lastOffsetDelta: bytes.readInt32BE(at + 23), // lastOffsetDelta
    baseTimestampMs: readI64(bytes, at + 27), // baseTimestamp
    maxTimestampMs: readI64(bytes, at + 35), // maxTimestamp
    producerId: readI64(bytes, at + 43), // producerId
    producerEpoch: bytes.readInt16BE(at + 51), // producerEpoch
    baseSequence: bytes.readInt32BE(at + 53), // baseSequence
    recordCount: bytes.readInt32BE(at + 57), // recordsCount
  }
}

/** Header fields that a writer chooses; the others follow from the bytes. */
type NewBatchHeader = Omit<BatchHeader, 'baseOffset' | 'sizeBytes' | 'leaderEpoch' | 'crc' | 'attributes' | 'lastOffsetDelta'> & {
  readonly compression: Compression
}

/** Writes the header, at base offset 0, in front of the records that are in `bytes` already, and computes the CRC. */
export function writeBatchHeader(bytes: Buffer, header: NewBatchHeader): void {
  writeI64(bytes, 0, 0) // baseOffset
  bytes.writeInt32BE(bytes.length - lengthPrefixBytes, 8) // batchLength
  bytes.writeInt32BE(-1, 12) // partitionLeaderEpoch
  bytes.writeInt8(magicV2, 16) // magic
  bytes.writeInt16BE(compressions.indexOf(header.compression), 21) // attributes
  bytes.writeInt32BE(header.recordCount - 1, 23) // lastOffsetDelta
  writeI64(bytes, 27, header.baseTimestampMs) // baseTimestamp
  writeI64(bytes, 35, header.maxTimestampMs) // maxTimestamp
  writeI64(bytes, 43, header.producerId) // producerId
  bytes.writeInt16BE(header.producerEpoch, 51) // producerEpoch
  bytes.writeInt32BE(header.baseSequence, 53) // baseSequence
  bytes.writeInt32BE(header.recordCount, 57) // recordsCount
  writeCrc(bytes) // crc
}

/**
 * Checks the one whole batch from `at` to `end` before it is kept, all but the records themselves, which it may carry compressed. Throws `TRUNCATED`, `RECORD_BATCH_CORRUPT`, and
 * `RECORD_BATCH_INVALID` for what no producer may send: more than one batch, gaps between offsets, control or transactional batches.
 */
export function checkBatch(bytes: Buffer, header: BatchHeader, at = 0, end = bytes.length): void {
  const { sizeBytes, recordCount, lastOffsetDelta, attributes } = header
  const lengthBytes = end - at
  if (lengthBytes < sizeBytes) throw new AppError('TRUNCATED', `record batch of ${sizeBytes} bytes, ${lengthBytes} are there`)
  if (lengthBytes > sizeBytes) {
    throw new AppError(
      'RECORD_BATCH_INVALID',
      `${lengthBytes - sizeBytes} bytes follow the record batch; send one batch for a partition`,
    )
  }
  if (!isBatchIntact(bytes, header, at)) {
    throw new AppError('RECORD_BATCH_CORRUPT', `checksum of a record batch of ${sizeBytes} bytes does not fit; send it again`)
  }
  compressionOf(header)
  if (recordCount < 1 || lastOffsetDelta !== recordCount - 1) {
    const message = `record batch of ${recordCount} records whose last offset delta is ${lastOffsetDelta}; it must be one less`
    throw new AppError('RECORD_BATCH_INVALID', message)
  }
  if ((attributes & attributeBits.control) !== 0)
    throw new AppError('RECORD_BATCH_INVALID', 'control batch; only a broker writes these')
  if ((attributes & attributeBits.transactional) !== 0) {
    throw new AppError('RECORD_BATCH_INVALID', 'transactional batch; send it without a transaction')
  }
  const { baseTimestampMs, maxTimestampMs, producerId } = header
  if (!Number.isSafeInteger(baseTimestampMs) || !Number.isSafeInteger(maxTimestampMs) || !Number.isSafeInteger(producerId)) {
    throw new AppError('RECORD_BATCH_INVALID', 'record batch with a time or producer id beyond 2^53')
  }
}

/** Whether the batch at `at` is whole and fits its CRC; bytes behind it do not count. */
export function isBatchIntact(bytes: Buffer, { sizeBytes, crc }: BatchHeader, at = 0): boolean {
  return bytes.length - at >= sizeBytes && crc32c(bytes.subarray(at + crcFrom, at + sizeBytes)) === crc
}

/** Gives the batch at `at` its place in a partition, in its own memory. The CRC does not cover these fields. */
export function placeBatch(bytes: Buffer, place: { readonly baseOffset: number; readonly leaderEpoch: number }, at = 0): void {
  writeI64(bytes, at, place.baseOffset) // baseOffset
  bytes.writeInt32BE(place.leaderEpoch, at + 12) // partitionLeaderEpoch
}

/** Gives all records of one whole batch the time of their append (`LogAppendTime`), in its own memory, with a new CRC. */
export function stampAppendTime(bytes: Buffer, appendTimeMs: number): void {
  bytes.writeInt16BE(bytes.readInt16BE(21) | attributeBits.logAppendTime, 21) // attributes
  writeI64(bytes, 35, appendTimeMs) // maxTimestamp
  writeCrc(bytes) // crc
}

/** Whether the records have the time of their append, which is then `maxTimestampMs` for all. */
export function hasAppendTime(header: BatchHeader): boolean {
  return (header.attributes & attributeBits.logAppendTime) !== 0
}

/** Throws `RECORD_BATCH_INVALID` for a number that stands for no codec. */
export function compressionOf(header: BatchHeader): Compression {
  const number = header.attributes & attributeBits.codec
  const compression = compressions[number]
  if (compression === undefined) throw new AppError('RECORD_BATCH_INVALID', `record batch with unknown compression ${number}`)
  return compression
}

/** The headers of consecutive whole batches; a truncated last one is dropped. Throws `RECORD_BATCH_INVALID` where no RecordBatch v2 begins. */
export function* headersOf(bytes: Buffer): Generator<BatchHeader, void, undefined> {
  for (let at = 0; bytes.length - at >= batchHeaderBytes;) {
    const header = readBatchHeader(bytes, at)
    at += header.sizeBytes
    if (at <= bytes.length) yield header
  }
}

/** The same batches as views. */
export function splitBatches(bytes: Buffer): Buffer[] {
  const batches: Buffer[] = []
  let at = 0
  for (const { sizeBytes } of headersOf(bytes)) {
    batches.push(bytes.subarray(at, at + sizeBytes))
    at += sizeBytes
  }
  return batches
}

function checkMagic(magic: number): void {
  if (magic === magicV2) return
  throw new AppError('RECORD_BATCH_INVALID', `record batch of format ${magic}; only format 2, of Kafka 0.11 and later, is taken`)
}

function writeCrc(bytes: Buffer): void {
  bytes.writeUInt32BE(crc32c(bytes.subarray(crcFrom)), 17)
}

function readI64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}

function writeI64(bytes: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32)
  bytes.writeInt32BE(high, at)
  bytes.writeUInt32BE(value - high * 2 ** 32, at + 4)
}
