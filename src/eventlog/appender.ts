import type { Clock } from '#lib/clock.ts'
import { AppError, type ErrorCode, toAppError } from '#lib/errors.ts'
import type { Accumulator } from './accumulator.ts'
import type { AckDeadlines, LimitedWait } from './ack-deadlines.ts'
import type { Backlog } from './backlog.ts'
import type { Leases } from './leases.ts'
import type { AckWait, LogBatch } from './log-batch.ts'
import type { Partition } from './partition.ts'
import type { AckLevel } from './topic-config.ts'
import type { Topics } from './topics.ts'
import type { Wal, WalPosition, WalTask } from './wal/wal.ts'

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

/** Whoever appends, and hears once what became of it. */
export interface AppendSink {
  appended(result: Appended): void
  refused(error: AppError): void
}

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

type AppendFields = {
  readonly partition: Partition
  readonly place: { readonly baseOffset: number; readonly lastOffset: number }
  readonly appendTimeMs: number
  readonly isDuplicate: boolean
  readonly ack: AckLevel
  /** 0: no limit. */
  readonly timeoutMs: number
  readonly sink: AppendSink
}

/** An append that has its place and waits until that is as durable as asked for. */
class Append implements AckWait, LimitedWait {
  readonly ack: AckLevel
  readonly timeoutMs: number
  next: AckWait | undefined
  dueMs = 0
  place = -1
  readonly #deps: Deps
  readonly #fields: AppendFields
  readonly #startedAtMs: number
  #isOver = false

  constructor(deps: Deps, fields: AppendFields) {
    this.ack = fields.ack
    this.timeoutMs = fields.timeoutMs
    this.#deps = deps
    this.#fields = fields
    this.#startedAtMs = deps.clock.monotonicMs()
  }

  await(batch: LogBatch): void {
    batch.wait(this)
    if (!this.#isOver && this.timeoutMs > 0) this.#deps.deadlines.add(this, this.#startedAtMs)
  }

  reached(): void {
    if (this.#isOver) return
    this.#end()
    const { ack } = this
    const { observer, clock } = this.#deps
    const { partition, place, appendTimeMs, isDuplicate, sink } = this.#fields
    const { baseOffset, lastOffset } = place
    observer?.acknowledged(ack, (clock.monotonicMs() - this.#startedAtMs) / 1000)
    sink.appended({ baseOffset, lastOffset, appendTimeMs, logStartOffset: partition.logStart, ack, isDuplicate })
  }

  ended(error: AppError): void {
    if (this.#isOver) return
    this.#end()
    this.#deps.observer?.refused(error.code)
    this.#fields.sink.refused(error)
  }

  #end(): void {
    this.#isOver = true
    this.#deps.deadlines.remove(this)
  }
}

type Durable = { readonly partition: Partition; readonly batch: LogBatch; readonly bytes: Buffer; readonly isAwaited: boolean }

/** A batch on its way into the write-ahead log, and from there to the accumulator. */
class WalWrite implements WalTask {
  readonly partitionId: number
  readonly epoch: number
  readonly baseOffset: number
  readonly recordCount: number
  readonly batch: Buffer
  readonly #deps: Deps
  readonly #durable: Durable

  constructor(deps: Deps, durable: Durable) {
    const { partition, batch, bytes } = durable
    this.partitionId = partition.id
    this.epoch = partition.epoch
    this.baseOffset = batch.baseOffset
    this.recordCount = batch.lastOffset - batch.baseOffset + 1
    this.batch = bytes
    this.#deps = deps
    this.#durable = durable
  }

  kept(position: WalPosition): void {
    const { partition, batch, isAwaited } = this.#durable
    batch.placeAt(position)
    partition.markSynced(batch)
    if (partition.isDeleted) this.#deps.wal?.settle(position)
    this.#deps.accumulator.add(partition, batch, { isAwaited })
  }

  refused(error: AppError): void {
    const { partition, batch } = this.#durable
    this.#deps.backlog.remove(batch)
    // A full disk may have room again, and nothing of what waited for it was kept.
    if (error.code === 'LOG_FULL') partition.rewind(error)
    else partition.fail(error)
  }
}

/** The way of a batch from its producer to the accumulator: it gets its place in the partition at once, and goes on when the write-ahead log has it. */
export class Appender {
  readonly #deps: Deps
  /** The last batch that went into the write-ahead log: it is there, or has failed, when all before it are. */
  #newest: LogBatch | undefined
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
    await new Promise<void>((done) => {
      if (this.#newest) this.#newest.wait({ ack: 'wal', next: undefined, reached: done, ended: () => done() })
      else done()
    })
  }

  /**
   * Appends one whole record batch (version 2), whose memory belongs to the log from now on: offsets are written into it. It has its place when this returns; the
   * sink hears when it is as durable as asked for, perhaps at once.
   * Refused are `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, `PARTITION_NOT_OWNED`, `RECORD_BATCH_INVALID`, `RECORD_BATCH_CORRUPT`, `RECORD_BATCH_TOO_LARGE`,
   * `PRODUCER_FENCED`, `PRODUCER_SEQUENCE_GAP`, `LOG_FULL`, `LOG_UNAVAILABLE`, `LOG_DAMAGED`, `SHUTTING_DOWN`; `TIMEOUT`: it may still come to be.
   */
  offer(ref: PartitionRef, bytes: Buffer, options: AppendOptions, sink: AppendSink): void {
    try {
      this.#begin(ref, bytes, options, sink)
    } catch (thrown) {
      const error = toAppError(thrown)
      this.#deps.observer?.refused(error.code)
      sink.refused(error)
    }
  }

  /** The same as a promise. */
  append(ref: PartitionRef, bytes: Buffer, options: AppendOptions): Promise<Appended> {
    return new Promise((appended, refused) => this.offer(ref, bytes, options, { appended, refused }))
  }

  #begin(ref: PartitionRef, bytes: Buffer, options: AppendOptions, sink: AppendSink): void {
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
    const { timeoutMs = 0 } = options
    // What is there already needs no room; refused again and again, it would be forgotten while its producer goes on.
    const duplicate = partition.producers.findDuplicate(header)
    if (duplicate) {
      const append = new Append(this.#deps, {
        partition,
        place: duplicate,
        appendTimeMs: -1,
        isDuplicate: true,
        ack,
        timeoutMs,
        sink,
      })
      if (duplicate.batch && ack === 'object') accumulator.closeWithin(objectAckMs)
      if (duplicate.batch) append.await(duplicate.batch)
      else append.reached()
      return
    }
    backlog.checkRoom()
    wal?.admit(bytes.length)
    const { batch, appendTimeMs } = partition.place(bytes, header)
    const append = new Append(this.#deps, { partition, place: batch, appendTimeMs, isDuplicate: false, ack, timeoutMs, sink })
    backlog.add(batch)
    if (wal) {
      this.#newest = batch
      wal.enqueue(new WalWrite(this.#deps, { partition, batch, bytes, isAwaited: ack === 'object' }))
    } else accumulator.add(partition, batch, { isAwaited: ack === 'object' })
    leases.keepCeiling(partition)
    append.await(batch)
  }
}
