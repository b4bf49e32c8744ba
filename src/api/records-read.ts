import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { decodeBatch, type LogRecord } from '#formats/kafka/records.ts'
import { AppError } from '#lib/errors.ts'
import type { FetchedPartition, LogHub, LogTopic } from './log-hub.ts'
import { type ReadCursor, type ReadPosition, writeReadCursor } from './read-cursor.ts'

export type PartitionedRecord = LogRecord & { readonly partition: number }
/** Where a reader goes on in a partition, and between which offsets there are records. */
export type ReadMark = {
  readonly partition: number
  readonly nextOffset: number
  readonly highWatermark: number
  readonly logStartOffset: number
}
export type RecordsPage = {
  readonly records: readonly PartitionedRecord[]
  /** In the order in which they are to be read next: those that had records now come last. */
  readonly marks: readonly ReadMark[]
}

export type PageLimits = {
  readonly limit: number
  readonly maxBytes: number
  /** Longest wait for a first record. */
  readonly waitMs: number
  readonly signal: AbortSignal
}

type Log = Pick<LogHub, 'fetch'>

/**
 * The next records of some partitions. Throws `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, `LOG_DAMAGED` and the like, and `OFFSET_OUT_OF_RANGE` with
 * `details.partitions` and a `details.nextCursor` that goes on with what is kept: records that a reader misses are never passed over in silence.
 */
export async function readPage(log: Log, topic: LogTopic, cursor: ReadCursor, limits: PageLimits): Promise<RecordsPage> {
  const { positions } = cursor
  const fetched = await fetch(log, topic, positions, limits)
  refuseErrors(topic, cursor, fetched)
  const records: PartitionedRecord[] = []
  const served: ReadMark[] = []
  const waiting: ReadMark[] = []
  let leftBytes = limits.maxBytes
  for (const [index, { partition, batches, highWatermark, logStartOffset }] of fetched.entries()) {
    const before = records.length
    let nextOffset = positions[index]?.offset ?? 0
    for (const batch of batches) {
      if (records.length === limits.limit || (leftBytes <= 0 && records.length > 0)) break
      const taken = takeRecords(batch, { fromOffset: nextOffset, limit: limits.limit - records.length, leftBytes })
      for (const record of taken.records) records.push({ ...record, partition })
      nextOffset = Math.max(nextOffset, taken.nextOffset)
      leftBytes -= taken.sizeBytes
    }
    const mark = { partition, nextOffset, highWatermark, logStartOffset }
    if (records.length > before) served.push(mark)
    else waiting.push(mark)
  }
  return { records, marks: [...waiting, ...served] }
}

/** The next whole batches of one partition; the first may begin before the position. Throws what `readPage` throws. */
export async function readBatches(
  log: Log,
  topic: LogTopic,
  position: ReadPosition,
  limits: Omit<PageLimits, 'limit'>,
): Promise<{ batches: readonly Buffer[]; mark: ReadMark }> {
  const fetched = await fetch(log, topic, [position], limits)
  refuseErrors(topic, { isAll: false, positions: [position] }, fetched)
  const [{ batches, highWatermark, logStartOffset } = { batches: [], highWatermark: 0, logStartOffset: 0 }] = fetched
  const last = batches.at(-1)
  const nextOffset = last ? endOf(last) : position.offset
  return { batches, mark: { partition: position.partition, nextOffset, highWatermark, logStartOffset } }
}

async function fetch(
  log: Log,
  { name }: LogTopic,
  positions: readonly ReadPosition[],
  { maxBytes, waitMs, signal }: Omit<PageLimits, 'limit'>,
): Promise<readonly FetchedPartition[]> {
  const partitions = positions.map(({ partition, offset }) => ({ topic: name, partition, offset, maxBytes }))
  const fetched = await log.fetch({ partitions, maxBytes, minBytes: waitMs > 0 ? 1 : 0, maxWaitMs: waitMs, signal })
  if (signal.aborted && fetched.some(({ error }) => error)) {
    throw new AppError('SHUTTING_DOWN', 'reading was broken off because the server stops; ask again later')
  }
  return fetched
}

type Taken = { readonly records: readonly LogRecord[]; readonly nextOffset: number; readonly sizeBytes: number }

/** Records of a batch up to a number and, but for the first, up to a size, which may be far more than the batch is when compressed. */
function takeRecords(
  batch: Buffer,
  { fromOffset, limit, leftBytes }: { fromOffset: number; limit: number; leftBytes: number },
): Taken {
  const records = decodeBatch(batch, { fromOffset, maxRecords: limit })
  let sizeBytes = 0
  for (const [index, { offset, key, value }] of records.entries()) {
    if (index > 0 && sizeBytes >= leftBytes) return { records: records.slice(0, index), nextOffset: offset, sizeBytes }
    sizeBytes += (key?.length ?? 0) + (value?.length ?? 0)
  }
  const last = records.at(-1)
  return { records, nextOffset: last && records.length === limit ? last.offset + 1 : endOf(batch), sizeBytes }
}

function endOf(batch: Buffer): number {
  const { baseOffset, lastOffsetDelta } = readBatchHeader(batch)
  return baseOffset + lastOffsetDelta + 1
}

function refuseErrors(topic: LogTopic, { isAll, positions }: ReadCursor, fetched: readonly FetchedPartition[]): void {
  const failed = fetched.find(({ error }) => error && error.code !== 'OFFSET_OUT_OF_RANGE')
  if (failed?.error) throw failed.error
  const missed = fetched.find(({ error }) => error)
  if (!missed) return
  const next: ReadPosition[] = []
  const partitions = []
  for (const [index, { error, logStartOffset, highWatermark }] of fetched.entries()) {
    const { partition, offset } = positions[index] ?? { partition: 0, offset: 0 }
    next.push({ partition, offset: error ? Math.min(Math.max(offset, logStartOffset), highWatermark) : offset })
    if (error) partitions.push({ partition, offset, logStartOffset, highWatermark })
  }
  const nextCursor = writeReadCursor(topic, { isAll, positions: next })
  const message = `${missed.error?.message}; details.nextCursor goes on with what is kept`
  throw new AppError('OFFSET_OUT_OF_RANGE', message, { details: { partitions, nextCursor } })
}
