import { headersOf, readBatchHeader, splitBatches } from '#formats/kafka/record-batch.ts'
import { decodeBatch } from '#formats/kafka/records.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { LogSpan } from './log-span.ts'
import type { LogMetadata } from './metadata/log-metadata.ts'
import type { ExtentReader } from './objects/extent-reader.ts'
import type { Partition } from './partition.ts'
import type { Wal } from './wal/wal.ts'

/** Where to look for a record: before all, after all, the latest by time, or the first with this time (milliseconds since the epoch) or a later one. */
export type OffsetQuery = 'earliest' | 'latest' | 'max-timestamp' | number
/** `offset` is -1 when there is no such record; `timestampMs` is -1 where it was not asked for. */
export type FoundOffset = { readonly offset: number; readonly timestampMs: number }

type ReadOptions = { readonly offset: number; readonly maxBytes: number; readonly signal?: AbortSignal | undefined }

/** Extents looked up at once: usually one is enough. */
const extentsPerLookup = 4

/** Reads partitions: the newest batches from memory or the write-ahead log, others from the object store. */
export class LogReader {
  readonly #metadata: LogMetadata
  readonly #extents: ExtentReader
  readonly #wal: Wal | undefined

  constructor({ metadata, extents, wal }: { metadata: LogMetadata; extents: ExtentReader; wal: Wal | undefined }) {
    this.#metadata = metadata
    this.#extents = extents
    this.#wal = wal
  }

  /**
   * Whole batches from the one that holds `offset` on, below the high watermark; the first may be above `maxBytes`. Nothing at the end.
   * Throws `OFFSET_OUT_OF_RANGE`, `LOG_DAMAGED`, and what the database and the object store throw.
   */
  async read(partition: Partition, { offset, maxBytes, signal }: ReadOptions): Promise<Buffer[]> {
    const { logStart, highWatermark } = partition
    if (offset < logStart || offset > highWatermark) {
      const message = `offset ${offset} of ${partition.label} is not between ${logStart} and ${highWatermark}`
      throw new AppError('OFFSET_OUT_OF_RANGE', message, { details: { logStart, highWatermark } })
    }
    if (offset === highWatermark) return []
    const first = partition.recent.first
    if (first && offset >= first.baseOffset) return await this.#readRecent(partition, { offset, maxBytes, signal })
    return await this.#readStored(partition, { offset, maxBytes, signal })
  }

  async findOffset(partition: Partition, at: OffsetQuery): Promise<FoundOffset> {
    if (at === 'earliest') return { offset: partition.logStart, timestampMs: -1 }
    if (at === 'latest') return { offset: partition.highWatermark, timestampMs: -1 }
    return at === 'max-timestamp' ? await this.#findNewest(partition) : await this.#findByTime(partition, at)
  }

  async #readRecent(partition: Partition, { offset, maxBytes, signal }: ReadOptions): Promise<Buffer[]> {
    const { highWatermark } = partition
    const found: Buffer[] = []
    let sizeBytes = 0
    let next = offset
    for (const span of partition.recent.from(offset)) {
      // While one was read back, those behind it may have left memory.
      if (span.baseOffset > next || span.lastOffset >= highWatermark) break
      next = span.lastOffset + 1
      const bytes = span.bytes ?? (await this.#readBack(span))
      if (!bytes) break
      let at = 0
      for (const header of headersOf(bytes)) {
        const start = at
        at += header.sizeBytes
        if (header.baseOffset + header.lastOffsetDelta < offset) continue
        sizeBytes += header.sizeBytes
        if (found.length > 0 && sizeBytes > maxBytes) return found
        found.push(bytes.subarray(start, at))
      }
    }
    return found.length > 0 ? found : await this.#readStored(partition, { offset, maxBytes, signal })
  }

  /** A span that has given its memory back; undefined when it is in the object store meanwhile. */
  async #readBack(span: LogSpan): Promise<Buffer | undefined> {
    if (span.hasReached('committed') || !span.position) return undefined
    try {
      return await this.#wal?.read(span.position)
    } catch (error) {
      // Committed while it was read, its place in the write-ahead log may hold other records by now.
      if (span.hasReached('committed')) return undefined
      throw error
    }
  }

  async #readStored(partition: Partition, { offset, maxBytes, signal }: ReadOptions): Promise<Buffer[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#readExtents(partition, { offset, maxBytes, signal })
      } catch (thrown) {
        const error = toAppError(thrown)
        if (error.code !== 'OBJECT_NOT_FOUND') throw error
        // Deleted since it was looked up; a second look says whether the offset still is there.
        if (offset < partition.logStart) return await this.read(partition, { offset, maxBytes, signal })
        if (attempt === 2) throw new AppError('LOG_DAMAGED', `records of ${partition.label} are missing: ${error.message}`)
      }
    }
  }

  async #readExtents(partition: Partition, { offset, maxBytes, signal }: ReadOptions): Promise<Buffer[]> {
    const { highWatermark } = partition
    const extents = await this.#metadata.findExtents({ partitionId: partition.id, fromOffset: offset, limit: extentsPerLookup })
    const found: Buffer[] = []
    let leftBytes = maxBytes
    for (const extent of extents) {
      // What the database has committed only just now is not known to be by anybody yet.
      if (extent.baseOffset >= highWatermark || (found.length > 0 && leftBytes <= 0)) break
      const fromOffset = Math.max(offset, extent.baseOffset)
      const batches = await this.#extents.read(extent, { fromOffset, maxBytes: leftBytes, ...(signal ? { signal } : {}) })
      for (const batch of batches) {
        leftBytes -= batch.length
        if (found.length > 0 && leftBytes < 0) return found
        found.push(batch)
      }
      // It may have stopped before the end of the extent: what follows in the next one would leave a hole.
      const last = batches.at(-1)
      if (last === undefined || lastOffsetOf(last) < extent.lastOffset) break
    }
    return found
  }

  async #findByTime(partition: Partition, timestampMs: number): Promise<FoundOffset> {
    const { highWatermark } = partition
    let next = partition.recent.first?.baseOffset ?? highWatermark
    const stored = await this.#findStored(partition, timestampMs)
    if (stored) return stored
    const fromOffset = partition.logStart
    for (const span of partition.recent.from(Math.max(next, fromOffset))) {
      if (span.lastOffset >= highWatermark) break
      // What has left memory since is in the object store: it is found there.
      if (span.baseOffset > Math.max(next, fromOffset)) return await this.#findByTime(partition, timestampMs)
      next = span.lastOffset + 1
      if (span.maxTimestampMs < timestampMs) continue
      const bytes = span.bytes ?? (await this.#readBack(span))
      if (!bytes) return await this.#findByTime(partition, timestampMs)
      for (const batch of splitBatches(bytes)) {
        const record = decodeBatch(batch, { fromOffset }).find((one) => one.timestampMs >= timestampMs)
        if (record) return { offset: record.offset, timestampMs: record.timestampMs }
      }
    }
    if (next < highWatermark) return await this.#findByTime(partition, timestampMs)
    return { offset: -1, timestampMs: -1 }
  }

  /** The time of an extent is what producers claim in the heads of their batches; the records may be older, then the next extent is looked at. */
  async #findStored(partition: Partition, timestampMs: number): Promise<FoundOffset | undefined> {
    const partitionId = partition.id
    const first = await this.#metadata.findExtentByTime({ partitionId, timestampMs })
    let extents = first ? [first] : []
    while (extents.length > 0) {
      for (const extent of extents.filter(({ maxTimestampMs }) => maxTimestampMs >= timestampMs)) {
        const found = await this.#extents.findTimestamp(extent, { timestampMs, fromOffset: partition.logStart })
        if (found) return found
      }
      const fromOffset = (extents.at(-1)?.lastOffset ?? -1) + 1
      extents = await this.#metadata.findExtents({ partitionId, fromOffset, limit: extentsPerLookup })
    }
    return undefined
  }

  /** Of the newest batch in memory, or else of the last one in the object store: times hardly ever go back. */
  async #findNewest(partition: Partition): Promise<FoundOffset> {
    const { highWatermark, logStart } = partition
    if (highWatermark === logStart) return { offset: -1, timestampMs: -1 }
    const [batch] = await this.read(partition, { offset: highWatermark - 1, maxBytes: 1 })
    const records = batch ? decodeBatch(batch) : []
    const newest = records.reduce((best, one) => (best && best.timestampMs >= one.timestampMs ? best : one), records[0])
    return newest ? { offset: newest.offset, timestampMs: newest.timestampMs } : { offset: -1, timestampMs: -1 }
  }
}

function lastOffsetOf(batch: Buffer): number {
  const { baseOffset, lastOffsetDelta } = readBatchHeader(batch)
  return baseOffset + lastOffsetDelta
}
