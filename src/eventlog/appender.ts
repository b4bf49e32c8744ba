import type { Clock } from '#lib/clock.ts'
import { AppError, type ErrorCode, toAppError } from '#lib/errors.ts'
import type { Accumulator } from './accumulator.ts'
import type { AckDeadlines } from './ack-deadlines.ts'
import type { Backlog } from './backlog.ts'
import type { Leases } from './leases.ts'
import type { LogBatch } from './log-batch.ts'
import type { Partition } from './partition.ts'
import type { AckLevel } from './topic-config.ts'
import type { Topics } from './topics.ts'
import type { Wal } from './wal/wal.ts'

export type PartitionRef = { readonly topic: string; readonly partition: number }

/** Where a batch went, and what it has survived when this is told. `appendTimeMs` is -1 where producers set the time. */
export type Appended = {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly appendTimeMs: number
  readonly logStartOffset: number
  readonly ack: AckLevel
  readonly isDuplicate: boolean
}

/** What an append waits for, and how long at most. Without `ack` it is the topic's durability. `isOwn`: Millrace writes to its own topic. */
export type AppendOptions = { readonly ack?: AckLevel; readonly timeoutMs?: number; readonly isOwn?: boolean }

/** Hears of each batch: how long its acknowledgement took, or why it was refused. */
export interface LogObserver {
  acknowledged(ack: AckLevel, seconds: number): void
  refused(code: ErrorCode): void
}

/** A batch that has its place. `batch` is absent for a repeated one that is long committed. */
type Begun = Omit<Appended, 'logStartOffset'> & { readonly partition: Partition; readonly batch: LogBatch | undefined }

type Deps = {
  readonly topics: Topics
  readonly wal: Wal | undefined
  readonly backlog: Backlog
  readonly accumulator: Accumulator
  readonly leases: Leases
  readonly deadlines: AckDeadlines
  /** A repeated batch that waits for the object store is there after this time at the latest. */
  readonly objectAckMs: number
  readonly clock: Clock
  readonly observer: LogObserver | undefined
}

/** The way of a batch from its producer to the accumulator: it gets its place in the partition at once, and goes on when the write-ahead log has it. */
export class Appender {
  readonly #deps: Deps
  /** Batches that the write-ahead log does not have yet. */
  readonly #syncing = new Set<LogBatch>()
  #isClosing = false
  #fault: AppError | undefined

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Why nothing can be appended; undefined while all is well. */
  get fault(): AppError | undefined {
    return this.#fault
  }

  /** Every append fails with this from now on. The first reason stays. */
  refuse(error: AppError): void {
    this.#fault ??= error
  }

  /** Every append fails with `SHUTTING_DOWN` from now on. */
  close(): void {
    this.#isClosing = true
  }

  /** Resolves when everything appended so far is in the write-ahead log, or has failed. */
  async synced(): Promise<void> {
    await Promise.allSettled([...this.#syncing].map((batch) => batch.until('wal')))
  }

  /**
   * Appends one whole record batch (version 2), whose memory belongs to the log from now on: offsets are written into it. Resolves when it is as durable as asked for.
   * Throws `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, `PARTITION_NOT_OWNED`, `RECORD_BATCH_INVALID`, `RECORD_BATCH_CORRUPT`, `RECORD_BATCH_TOO_LARGE`,
   * `PRODUCER_FENCED`, `PRODUCER_SEQUENCE_GAP`, `LOG_FULL`, `LOG_UNAVAILABLE`, `LOG_DAMAGED`, `SHUTTING_DOWN`; `TIMEOUT`: it may still come to be.
   */
  async append(ref: PartitionRef, bytes: Buffer, options: AppendOptions): Promise<Appended> {
    const { observer, clock, deadlines } = this.#deps
    const startedAtMs = clock.monotonicMs()
    try {
      const { partition, batch, ack, baseOffset, lastOffset, appendTimeMs, isDuplicate } = this.#begin(ref, bytes, options)
      const { timeoutMs } = options
      if (batch) await batch.until(ack, timeoutMs === undefined ? undefined : (wait) => deadlines.add(wait, timeoutMs))
      observer?.acknowledged(ack, (clock.monotonicMs() - startedAtMs) / 1000)
      return { baseOffset, lastOffset, appendTimeMs, logStartOffset: partition.logStart, ack, isDuplicate }
    } catch (error) {
      observer?.refused(toAppError(error).code)
      throw error
    }
  }

  /** All of an append but the wait: the batch has its place when this returns. */
  #begin(ref: PartitionRef, bytes: Buffer, options: AppendOptions): Begun {
    const { topics, wal, backlog, accumulator, leases, objectAckMs } = this.#deps
    const topic = topics.get(ref.topic)
    if (topic.isInternal && !options.isOwn) {
      throw new AppError('TOPIC_INVALID', `only Millrace itself writes to topic "${topic.name}"; use another name`)
    }
    const partition = topic.partition(ref.partition)
    if (this.#isClosing) throw new AppError('SHUTTING_DOWN', 'the event log is stopping; repeat when it is back')
    if (this.#fault) throw this.#fault
    const header = partition.admit(bytes)
    const ack = wal || options.ack === 'none' ? (options.ack ?? partition.topic.durability) : 'object'
    const isAwaited = ack === 'object'
    // What is there already needs no room; refused again and again, it would be forgotten while its producer goes on.
    const duplicate = partition.producers.findDuplicate(header)
    if (duplicate) {
      const { batch, baseOffset, lastOffset } = duplicate
      if (batch && isAwaited) accumulator.closeWithin(objectAckMs)
      return { partition, batch, ack, baseOffset, lastOffset, appendTimeMs: -1, isDuplicate: true }
    }
    backlog.checkRoom()
    wal?.admit(bytes.length)
    const { batch, appendTimeMs } = partition.place(bytes, header)
    this.#keep(partition, batch, { isAwaited })
    leases.keepCeiling(partition)
    const { baseOffset, lastOffset } = batch
    return { partition, batch, ack, baseOffset, lastOffset, appendTimeMs, isDuplicate: false }
  }

  #keep(partition: Partition, batch: LogBatch, { isAwaited }: { isAwaited: boolean }): void {
    const { wal, backlog, accumulator } = this.#deps
    backlog.add(batch)
    if (!wal || !batch.bytes) {
      accumulator.add(partition, batch, { isAwaited })
      return
    }
    this.#syncing.add(batch)
    const { baseOffset, lastOffset, bytes } = batch
    const recordCount = lastOffset - baseOffset + 1
    wal.append({ partitionId: partition.id, epoch: partition.epoch, baseOffset, recordCount, batch: bytes }).then(
      (position) => {
        this.#syncing.delete(batch)
        batch.position = position
        partition.markSynced(batch)
        if (partition.isDeleted) wal.settle(position)
        accumulator.add(partition, batch, { isAwaited })
      },
      (thrown: unknown) => {
        const error = toAppError(thrown)
        this.#syncing.delete(batch)
        backlog.remove(batch)
        // A full disk may have room again, and nothing of what waited for it was kept.
        if (error.code === 'LOG_FULL') partition.rewind(error)
        else partition.fail(error)
      },
    )
  }
}
