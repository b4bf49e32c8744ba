import { readBatchHeader, hasAppendTime } from '#formats/kafka/record-batch.ts'
import { decodeBatch, encodeBatch } from '#formats/kafka/records.ts'

export type ProducerPlace = { readonly id: number; readonly epoch: number; readonly baseSequence: number }

/** A batch as its producer has it. `name` is in its first record, so that it is known wherever it is found. */
export type SentBatch = {
  readonly name: string
  readonly bytes: Buffer
  readonly recordCount: number
  readonly timestampMs: number
  readonly producer: ProducerPlace | undefined
}

type NewBatch = Omit<SentBatch, 'bytes'> & { readonly valueBytes: number }

/** Records of one batch are a millisecond apart. */
export function makeBatch({ valueBytes, ...batch }: NewBatch): SentBatch {
  const { name, recordCount, timestampMs, producer } = batch
  const records = Array.from({ length: recordCount }, (_, index) => ({
    key: Buffer.from(name),
    value: Buffer.alloc(valueBytes, name),
    headers: [],
    timestampMs: timestampMs + index,
  }))
  return { ...batch, bytes: encodeBatch(records, producer ? { producer } : {}) }
}

/** Also checks that the stored batch is intact. */
export function nameOf(stored: Buffer): string {
  return decodeBatch(stored, { maxRecords: 1 })[0]?.key?.toString() ?? ''
}

/** Whether a stored batch is what was sent: all but its place, and its time where the log sets it (invariant I16). */
export function isSame({ bytes }: SentBatch, stored: Buffer): boolean {
  if (bytes.length !== stored.length) return false
  const own = hasAppendTime(readBatchHeader(stored)) ? ownRanges.timed : ownRanges.plain
  return own.every(([from, to]) => bytes.subarray(from, to).equals(stored.subarray(from, to)))
}

/** Bytes that are the producer's: not base offset and leader epoch; and with the log's times, not checksum, attributes and largest time. */
const ownRanges = {
  plain: [
    [8, 12],
    [16, Infinity],
  ],
  timed: [
    [8, 12],
    [16, 17],
    [23, 35],
    [43, Infinity],
  ],
} as const

/** The bytes by which a batch is found on a disk, wherever it was placed. */
export function markOf({ bytes }: SentBatch): Buffer {
  return bytes.subarray(43)
}
