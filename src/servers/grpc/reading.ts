import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { decodeBatch, type LogRecord } from '#formats/kafka/records.ts'
import type { format } from '#formats/protobuf/schemas/log-v1.ts'
import type { ValueOf } from '#formats/protobuf/types.ts'

/** What a record takes in an answer besides its key, value and headers, about. */
const recordOverheadBytes = 24

export type Format = ValueOf<typeof format>

/** Records of one partition for one answer: decoded, or as batches. */
export type Page = {
  readonly records: readonly LogRecord[]
  readonly recordBatches: readonly Buffer[]
  readonly recordCount: number
  /** Where to go on after these. */
  readonly nextOffset: number
}

export type PageLimits = {
  readonly format: Format
  /** Records before this one are left out, except from batches that are handed out as they are. */
  readonly fromOffset: number
  /** Those from this one on are left out, in the same way. */
  readonly endOffset: number
  readonly maxRecords: number
  /** Pages end when they have so many bytes. */
  readonly pageBytes: number
}

/** The records of these batches, page by page. Throws what `decodeBatch` does. */
export function* pagesOf(batches: readonly Buffer[], limits: PageLimits): Generator<Page> {
  yield* limits.format === 'FORMAT_RAW' ? rawPages(batches, limits) : recordPages(batches, limits)
}

function* rawPages(batches: readonly Buffer[], { fromOffset, endOffset, maxRecords, pageBytes }: PageLimits): Generator<Page> {
  let nextOffset = fromOffset
  let leftRecords = maxRecords
  let page: Buffer[] = []
  let [sizeBytes, recordCount] = [0, 0]
  for (const batch of batches) {
    if (leftRecords <= 0 || nextOffset >= endOffset) break
    const { baseOffset, lastOffsetDelta } = readBatchHeader(batch)
    if (page.length > 0 && sizeBytes + batch.length > pageBytes) {
      yield { records: [], recordBatches: page, recordCount, nextOffset }
      page = []
      sizeBytes = recordCount = 0
    }
    const newRecords = baseOffset + lastOffsetDelta + 1 - Math.max(baseOffset, nextOffset)
    page.push(batch)
    sizeBytes += batch.length
    recordCount += newRecords
    leftRecords -= newRecords
    nextOffset = baseOffset + lastOffsetDelta + 1
  }
  if (page.length > 0) yield { records: [], recordBatches: page, recordCount, nextOffset }
}

function* recordPages(batches: readonly Buffer[], { fromOffset, endOffset, maxRecords, pageBytes }: PageLimits): Generator<Page> {
  let nextOffset = fromOffset
  let leftRecords = maxRecords
  let page: LogRecord[] = []
  let sizeBytes = 0
  for (const batch of batches) {
    if (leftRecords <= 0 || nextOffset >= endOffset) break
    for (const record of decodeBatch(batch, { fromOffset: nextOffset, maxRecords: leftRecords })) {
      if (record.offset >= endOffset) break
      const recordBytes = sizeOf(record)
      if (page.length > 0 && sizeBytes + recordBytes > pageBytes) {
        yield { records: page, recordBatches: [], recordCount: page.length, nextOffset }
        page = []
        sizeBytes = 0
      }
      page.push(record)
      sizeBytes += recordBytes
      leftRecords -= 1
      nextOffset = record.offset + 1
    }
  }
  if (page.length > 0) yield { records: page, recordBatches: [], recordCount: page.length, nextOffset }
}

function sizeOf({ key, value, headers }: LogRecord): number {
  let total = recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) total += header.key.length + (header.value?.length ?? 0) + 8
  return total
}
