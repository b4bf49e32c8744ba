import {
  batchHeaderBytes,
  checkBatch,
  headersOf,
  placeBatch,
  readBatchHeader,
  stampAppendTime,
  type BatchHeader,
} from '#formats/kafka/record-batch.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { LogSpan } from './log-span.ts'
import type { AcquiredPartition, PartitionRow, ProducerRow } from './metadata/log-metadata.ts'
import { Producers } from './producers.ts'
import { RecentSpans } from './recent-spans.ts'
import type { Durability, TopicConfig } from './topic-config.ts'
import type { WalPosition } from './wal/wal.ts'

/** What a partition needs to know of its topic; one object for all partitions, whose configuration may change. `durability` is what holds here. */
export type TopicIdentity = {
  readonly id: string
  readonly name: string
  readonly config: TopicConfig
  readonly durability: Durability
}

/** A batch that a partition has taken, the last of its span. `appendTimeMs` is -1 where producers set the time. */
export type Placed = { readonly span: LogSpan; readonly appendTimeMs: number }

/**
 * One partition as its owner knows it. Offsets grow through four marks:
 *
 *   log start ≤ committed end ≤ synced end ≤ next offset ≤ ceiling
 *
 * The high watermark, up to which consumers read, is the synced or the committed end, as the topic's durability says; it never goes back.
 * Producers are refused while there is a `fault`.
 */
export class Partition {
  readonly id: number
  readonly index: number
  readonly topic: TopicIdentity
  readonly recent = new RecentSpans()
  readonly producers = new Producers<LogSpan>()
  readonly #clock: Clock
  readonly #watchers = new Set<(bytes: number) => void>()
  #epoch = 0
  #isOwned = false
  #ceiling = 0
  #logStart: number
  #committedEnd: number
  #syncedEnd: number
  #nextOffset: number
  #highWatermark: number
  #committedBytes: number
  #appendedRecords = 0
  #appendedBytes = 0
  #fetchedRecords = 0
  #fetchedBytes = 0
  #fault: AppError | undefined
  #isDeleted = false

  constructor(row: PartitionRow, { topic, clock }: { topic: TopicIdentity; clock: Clock }) {
    this.id = row.partitionId
    this.index = row.index
    this.topic = topic
    this.#clock = clock
    this.#logStart = row.logStart
    this.#committedEnd = this.#syncedEnd = this.#nextOffset = this.#highWatermark = row.nextOffset
    this.#committedBytes = row.sizeBytes
  }

  get epoch(): number {
    return this.#epoch
  }
  get isOwned(): boolean {
    return this.#isOwned && this.#fault === undefined
  }
  get isDeleted(): boolean {
    return this.#isDeleted
  }
  get logStart(): number {
    return this.#logStart
  }
  get nextOffset(): number {
    return this.#nextOffset
  }
  get ceiling(): number {
    return this.#ceiling
  }
  get highWatermark(): number {
    return this.#highWatermark
  }
  get committedEnd(): number {
    return this.#committedEnd
  }
  /** Bytes in the object store. */
  get committedBytes(): number {
    return this.#committedBytes
  }

  /** Appended since the start. */
  get appended(): { readonly records: number; readonly bytes: number } {
    return { records: this.#appendedRecords, bytes: this.#appendedBytes }
  }
  /** Given to consumers since the start. */
  get fetched(): { readonly records: number; readonly bytes: number } {
    return { records: this.#fetchedRecords, bytes: this.#fetchedBytes }
  }
  countFetched(batches: readonly Buffer[]): void {
    for (const batch of batches) {
      this.#fetchedRecords += readBatchHeader(batch).recordCount
      this.#fetchedBytes += batch.length
    }
  }
  /** Why producers are refused. */
  get fault(): AppError | undefined {
    return this.#fault
  }

  /** Takes on what the database has granted. Owned already, it goes on where it is, in a new epoch. */
  own({ epoch, offsetCeiling, nextOffset, logStart }: AcquiredPartition): void {
    this.#epoch = epoch
    this.#ceiling = Math.max(this.#ceiling, offsetCeiling)
    if (this.#isOwned) return
    this.#isOwned = true
    this.#logStart = logStart
    this.#committedEnd = this.#syncedEnd = this.#nextOffset = this.#highWatermark = nextOffset
  }

  raiseCeiling(ceiling: number): void {
    this.#ceiling = Math.max(this.#ceiling, ceiling)
  }

  restoreProducer(row: ProducerRow): void {
    this.producers.restore(row)
  }

  /** Whether what lies from `start` to `end` is one batch that may be appended; throws otherwise, before anything has changed. */
  admit(bytes: Buffer, start: number, end: number): BatchHeader {
    if (this.#fault) throw this.#fault
    if (!this.#isOwned) {
      throw new AppError('PARTITION_NOT_OWNED', `${this.label} is not owned by this agent; look its owner up again`)
    }
    const { maxMessageBytes } = this.topic.config
    const lengthBytes = end - start
    if (lengthBytes > maxMessageBytes) {
      const message = `a batch of ${lengthBytes} bytes is above maxMessageBytes (${maxMessageBytes}) of topic "${this.topic.name}"`
      throw new AppError('RECORD_BATCH_TOO_LARGE', message)
    }
    const header = lengthBytes < batchHeaderBytes ? readBatchHeader(bytes.subarray(start, end)) : readBatchHeader(bytes, start)
    if (header.sizeBytes !== lengthBytes) {
      const message = `a batch says it has ${header.sizeBytes} bytes, ${lengthBytes} came; send one whole batch`
      throw new AppError('RECORD_BATCH_INVALID', message)
    }
    checkBatch(bytes, header, start, end)
    return header
  }

  /**
   * Gives an admitted batch that is no duplicate its offsets. It becomes part of `open`, which it continues and which nobody else has seen, or a span of its own. The
   * bytes belong to the log from now on. Throws before anything has changed.
   */
  place(header: BatchHeader, { bytes, at, open }: { bytes: Buffer; at: number; open: LogSpan | undefined }): Placed {
    if (this.#nextOffset + header.lastOffsetDelta >= this.#ceiling) {
      throw new AppError('PARTITION_NOT_OWNED', `${this.label} waits for the database to raise its offset ceiling; repeat`)
    }
    this.producers.checkOrder(header)
    const nowMs = this.#clock.nowMs()
    const appendTimeMs = this.topic.config.timestampType === 'LogAppendTime' ? nowMs : -1
    if (appendTimeMs >= 0) stampAppendTime(bytes.subarray(at, at + header.sizeBytes), appendTimeMs)
    const baseOffset = this.#nextOffset
    placeBatch(bytes, { baseOffset, leaderEpoch: 0 }, at)
    const placed = appendTimeMs < 0 ? header : readBatchHeader(bytes, at)
    const span = this.#take(placed, { bytes, at, open, nowMs })
    this.#appendedRecords += header.recordCount
    this.#appendedBytes += header.sizeBytes
    return { span, appendTimeMs }
  }

  /** Takes a span that the write-ahead log had kept from before the start, at `position` there. Its offsets are in its batches. */
  adopt(bytes: Buffer, position: WalPosition): LogSpan {
    const nowMs = this.#clock.nowMs()
    let span: LogSpan | undefined
    for (const header of headersOf(bytes)) span = this.#take(header, { bytes, at: 0, open: span, nowMs })
    if (!span) throw new AppError('LOG_DAMAGED', `an entry of the write-ahead log for ${this.label} holds no batch`)
    span.placeAt(position)
    this.markSynced(span)
    return span
  }

  /** Without `open` the batch begins a span at `at`. */
  #take(
    header: BatchHeader,
    { bytes, at, open, nowMs }: { bytes: Buffer; at: number; open: LogSpan | undefined; nowMs: number },
  ): LogSpan {
    const baseOffset = this.#nextOffset
    const span = open ?? new LogSpan(header, baseOffset, bytes, at)
    if (open) open.extend(header)
    else this.recent.push(span)
    const { lastOffset } = span
    this.#nextOffset = lastOffset + 1
    this.producers.remember(header, { baseOffset, lastOffset, nowMs, batch: span })
    return span
  }

  /** The span is on this disk. Called in order of offsets. */
  markSynced(span: LogSpan): void {
    this.#syncedEnd = span.lastOffset + 1
    span.reach('synced')
    this.#advance(span.sizeBytes)
  }

  /** Nothing behind the synced end was kept: its offsets are given out again, and its batches fail. */
  rewind(error: AppError): void {
    this.#nextOffset = this.#syncedEnd
    this.producers.rewind(this.#syncedEnd)
    for (const span of this.recent.dropFrom(this.#syncedEnd)) span.fail(error)
  }

  /** The spans are in the object store and the database. Called in order of offsets. */
  markCommitted(spans: readonly LogSpan[]): void {
    let bytes = 0
    for (const span of spans) {
      this.#committedEnd = span.lastOffset + 1
      this.#syncedEnd = Math.max(this.#syncedEnd, this.#committedEnd)
      bytes += span.sizeBytes
      span.reach('committed')
      if (span.producerId >= 0) this.producers.trim(span.producerId, this.#committedEnd)
    }
    this.#committedBytes += bytes
    this.#advance(bytes)
  }

  /** Retention or a request has deleted what is before `logStart`. */
  markDeleted({ logStart, freedBytes }: { logStart: number; freedBytes: number }): void {
    this.#logStart = Math.max(this.#logStart, logStart)
    this.#committedBytes -= freedBytes
  }

  /** The topic is gone. */
  delete(): void {
    this.#isDeleted = true
    this.fail(new AppError('TOPIC_NOT_FOUND', `topic "${this.topic.name}" was deleted`))
  }

  /** Refuses producers from now on; batches that were not committed fail. The first reason stays. */
  fail(error: AppError): void {
    this.#fault ??= error
    for (const span of this.recent.from(this.#committedEnd)) span.fail(error)
    this.#wake(0)
  }

  /** Calls back when the high watermark has moved, with the bytes that became readable; 0 after a fault. */
  watch(onAdvance: (bytes: number) => void): Disposable {
    this.#watchers.add(onAdvance)
    return { [Symbol.dispose]: () => this.#watchers.delete(onAdvance) }
  }

  /** Name for messages. */
  get label(): string {
    return `partition ${this.index} of topic "${this.topic.name}"`
  }

  #advance(bytes: number): void {
    const end = this.topic.durability === 'wal' ? this.#syncedEnd : this.#committedEnd
    if (end <= this.#highWatermark) return
    this.#highWatermark = end
    this.#wake(bytes)
  }

  #wake(bytes: number): void {
    for (const onAdvance of this.#watchers) onAdvance(bytes)
  }
}
