import { isBatchIntact, readBatchHeader, batchHeaderBytes, type BatchHeader } from '#formats/kafka/record-batch.ts'
import { decodeBatch } from '#formats/kafka/records.ts'
import { AppError } from '#lib/errors.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { ExtentRow, SparsePoint } from '../metadata/log-metadata.ts'
import { BlockCache } from './block-cache.ts'
import { blockAt, blockBytes, BlockWindow } from './block-window.ts'
import { Permits } from './permits.ts'
import { readRange } from '#store/objects/read-range.ts'

/** One read gives no more than this, or one batch: checking it must not hold up the process. */
const maxReadBytes = 8 * 2 ** 20
/** Reads of the store that wait for their turn; above this they are refused. */
const maxWaitingLoads = 1024
/** Ends of reads that are remembered, to tell who reads on from there. */
const rememberedEnds = 1024

export type ReadRequest = { readonly fromOffset: number; readonly maxBytes: number; readonly signal?: AbortSignal }

export type ExtentReaderStats = {
  /** Blocks in memory. */
  readonly cachedBytes: number
  readonly hits: number
  readonly misses: number
  readonly loadedBytes: number
  readonly activeLoads: number
  readonly waitingLoads: number
}

type Options = {
  readonly objects: ObjectStore
  readonly cacheBytes: number
  /** Reads of the store at once. */
  readonly concurrency: number
  /** How far ahead of a sequential reader blocks are loaded; never above half of `cacheBytes`. Default 8 MiB. */
  readonly readAheadBytes?: number
}

type Scan = {
  readonly extent: ExtentRow
  readonly start: SparsePoint
  readonly window: BlockWindow
  /** What to do with the batch of this header. */
  readonly choose: (header: BatchHeader) => Choice
  readonly take: (batch: Buffer) => void
}
type Choice = 'skip' | 'take' | 'stop'
/** Where a scan has stopped: the batch that would come next. */
type ScanEnd = { readonly positionBytes: number; readonly nextOffset: number }

/**
 * Reads records that are no longer in memory: whole batches out of objects, byte for byte as they were stored (invariant I16). Every batch that is handed out
 * was checked against its checksum and its place (I9).
 *
 *   extent ─► sparse point at or before the offset ─► BlockWindow ─► BlockCache ─► permits ─► ranged read of 1 MiB
 */
export class ExtentReader {
  readonly #objects: ObjectStore
  readonly #cache: BlockCache
  readonly #permits: Permits
  readonly #concurrency: number
  readonly #readAheadBytes: number
  /** Places where reads have ended, oldest first. */
  readonly #ends = new Set<string>()

  constructor({ objects, cacheBytes, concurrency, readAheadBytes = 8 * 2 ** 20 }: Options) {
    this.#objects = objects
    this.#concurrency = concurrency
    this.#readAheadBytes = Math.min(readAheadBytes, cacheBytes / 2)
    this.#permits = new Permits({ count: concurrency, maxWaiting: maxWaitingLoads })
    this.#cache = new BlockCache({ load: (block) => this.#loadBlock(block), maxBytes: cacheBytes })
  }

  get stats(): ExtentReaderStats {
    const { sizeBytes: cachedBytes, ...loads } = this.#cache.stats
    const { free, waiting: waitingLoads } = this.#permits
    return { ...loads, cachedBytes, activeLoads: this.#concurrency - free, waitingLoads }
  }

  /**
   * Batches of an extent in order, from the one that holds `fromOffset` on: at most `maxBytes` of them, at least one. The first ones may come alone when
   * something is wrong with those behind them. They are views of cached memory; nobody may write to them.
   *
   * Throws `LOG_DAMAGED`; `OBJECT_NOT_FOUND` when the object was deleted or rewritten: look the extent up again; `OBJECTS_UNAVAILABLE`; `LOG_UNAVAILABLE` when
   * too many reads wait; and the reason of `signal`.
   */
  async read(extent: ExtentRow, { fromOffset, maxBytes, signal }: ReadRequest): Promise<Buffer[]> {
    signal?.throwIfAborted()
    const start = startOf(extent, (point) => point.offset <= fromOffset)
    const limitBytes = Math.min(maxBytes, maxReadBytes)
    const batches: Buffer[] = []
    let takenBytes = 0
    const choose = (header: BatchHeader): Choice => {
      if (header.baseOffset + header.lastOffsetDelta < fromOffset) return 'skip'
      return takenBytes === 0 || takenBytes + header.sizeBytes <= limitBytes ? 'take' : 'stop'
    }
    const take = (batch: Buffer): void => {
      batches.push(batch)
      takenBytes += batch.length
    }
    try {
      const window = this.#open(extent, { startBytes: start.positionBytes, wantedBytes: limitBytes, signal })
      const end = await scan({ extent, start, window, choose, take })
      if (this.#isSequential(extent, fromOffset)) this.#readAhead(extent, end)
      this.#rememberEnd(extent, end)
    } catch (error) {
      if (batches.length === 0 || signal?.aborted) throw error
    }
    return batches
  }

  /** The first record of an extent from `fromOffset` on with this time or a later one; undefined: there is none. Throws as `read` does. */
  async findTimestamp(
    extent: ExtentRow,
    { timestampMs, fromOffset }: { timestampMs: number; fromOffset: number },
  ): Promise<{ offset: number; timestampMs: number } | undefined> {
    const start = startOf(extent, (point) => point.maxTimestampMs < timestampMs)
    let found: { offset: number; timestampMs: number } | undefined
    const choose = (header: BatchHeader): Choice => {
      if (found) return 'stop'
      const isLateEnough = header.maxTimestampMs >= timestampMs && header.baseOffset + header.lastOffsetDelta >= fromOffset
      return isLateEnough ? 'take' : 'skip'
    }
    const take = (batch: Buffer): void => {
      const record = decodeBatch(batch, { fromOffset }).find((one) => one.timestampMs >= timestampMs)
      // The header says what its producer meant; when no record is that late, a later batch may have one.
      if (record) found = { offset: record.offset, timestampMs: record.timestampMs }
    }
    const window = this.#open(extent, { startBytes: start.positionBytes, wantedBytes: blockBytes })
    await scan({ extent, start, window, choose, take })
    return found
  }

  #open(extent: ExtentRow, { startBytes, wantedBytes, signal }: Opening): BlockWindow {
    const { objectKey, positionBytes, lengthBytes } = extent
    const wantedEndBytes = positionBytes + Math.min(startBytes + wantedBytes, lengthBytes)
    return new BlockWindow({ cache: this.#cache, objectKey, wantedEndBytes, aheadBytes: this.#readAheadBytes, signal })
  }

  /** Whoever begins an extent, or goes on where a read has ended, most likely wants what follows. */
  #isSequential(extent: ExtentRow, fromOffset: number): boolean {
    return fromOffset <= extent.baseOffset || this.#ends.has(endOf(extent, fromOffset))
  }

  #rememberEnd(extent: ExtentRow, { nextOffset }: ScanEnd): void {
    this.#ends.delete(endOf(extent, nextOffset))
    this.#ends.add(endOf(extent, nextOffset))
    for (const oldest of this.#ends) {
      if (this.#ends.size <= rememberedEnds) return
      this.#ends.delete(oldest)
    }
  }

  /** Loads what the store has time for now: nobody waits for it. */
  #readAhead({ objectKey, positionBytes, lengthBytes }: ExtentRow, end: ScanEnd): void {
    const endBytes = Math.min(end.positionBytes + this.#readAheadBytes, positionBytes + lengthBytes)
    for (let index = blockAt(end.positionBytes); index <= blockAt(endBytes - 1); index++) {
      if (this.#permits.free === 0) return
      if (this.#cache.isMissing(objectKey, index)) this.#cache.load(objectKey, index).catch(() => undefined)
    }
  }

  async #loadBlock({ objectKey, index }: { objectKey: string; index: number }): Promise<Buffer> {
    using _ = await this.#permits.acquire()
    try {
      const { bytes } = await readRange(this.#objects, {
        key: objectKey,
        offsetBytes: index * blockBytes,
        lengthBytes: blockBytes,
      })
      return bytes
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'RANGE_NOT_SATISFIABLE') throw error
      throw new AppError('LOG_DAMAGED', `object ${objectKey} is shorter than the database says`, { cause: error })
    }
  }
}

type Opening = { readonly startBytes: number; readonly wantedBytes: number; readonly signal?: AbortSignal | undefined }

/** The last sparse point for which the condition holds; the start of the extent when there is none. */
function startOf({ baseOffset, sparse }: ExtentRow, isBefore: (point: SparsePoint) => boolean): SparsePoint {
  return sparse.findLast(isBefore) ?? { offset: baseOffset, positionBytes: 0, maxTimestampMs: -1 }
}

/** Goes from batch to batch, each checked against its place, and those that are taken against their checksums. */
async function scan({ extent, start, window, choose, take }: Scan): Promise<ScanEnd> {
  const endBytes = extent.positionBytes + extent.lengthBytes
  let positionBytes = extent.positionBytes + start.positionBytes
  let nextOffset = start.offset
  while (positionBytes < endBytes) {
    // Waiting costs more than reading a small batch, so it is done only for blocks that are not there.
    const head = window.read(positionBytes, Math.min(batchHeaderBytes, endBytes - positionBytes))
    const header = headerOf(head instanceof Promise ? await head : head, { extent, positionBytes })
    if (header.baseOffset !== nextOffset || positionBytes + header.sizeBytes > endBytes) {
      throw damaged(
        { extent, positionBytes },
        `a batch of ${header.sizeBytes} bytes with offset ${header.baseOffset} is where ${nextOffset} belongs`,
      )
    }
    const choice = choose(header)
    if (choice === 'stop') break
    if (choice === 'take') {
      const body = window.read(positionBytes, header.sizeBytes)
      const batch = body instanceof Promise ? await body : body
      if (!isBatchIntact(batch, header)) throw damaged({ extent, positionBytes }, 'a batch does not fit its checksum')
      take(batch)
    }
    positionBytes += header.sizeBytes
    nextOffset = header.baseOffset + header.lastOffsetDelta + 1
  }
  return { positionBytes, nextOffset }
}

type Place = { readonly extent: ExtentRow; readonly positionBytes: number }

function headerOf(bytes: Buffer, place: Place): BatchHeader {
  try {
    return readBatchHeader(bytes)
  } catch (cause) {
    throw damaged(place, 'the header of a batch cannot be read', cause)
  }
}

function damaged({ extent, positionBytes }: Place, fault: string, cause?: unknown): AppError {
  const { objectKey, partitionId, baseOffset, lastOffset } = extent
  const message = `object ${objectKey} is damaged at byte ${positionBytes}, in offsets ${baseOffset} to ${lastOffset} of partition ${partitionId}: ${fault}`
  return new AppError('LOG_DAMAGED', message, { cause, details: { objectKey, partitionId, positionBytes } })
}

function endOf({ objectKey, partitionId }: ExtentRow, nextOffset: number): string {
  return `${objectKey} ${partitionId} ${nextOffset}`
}
