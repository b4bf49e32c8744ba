import type { Clock } from '#lib/clock.ts'
import type { BatchHeader } from '#formats/kafka/record-batch.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Accumulator } from './accumulator.ts'
import type { AckDeadlines } from './ack-deadlines.ts'
import { AppendRun, type Appended, type AppendSink, type Begun, type LogObserver } from './append-run.ts'
import type { Backlog } from './backlog.ts'
import type { Leases } from './leases.ts'
import type { LogSpan } from './log-span.ts'
import type { Partition } from './partition.ts'
import type { AckLevel } from './topic-config.ts'
import type { Topics } from './topics.ts'
import type { Wal, WalPosition, WalTask } from './wal/wal.ts'

export type PartitionRef = { readonly topic: string; readonly partition: number }

/** Batches one behind the other, and where each of them ends. */
export type PackedBatches = { readonly bytes: Buffer; readonly ends: readonly number[] }

/** What an append waits for, and how long at most. Without `ack` it is the topic's durability. `isOwn`: Millrace writes to its own topic. */
export type AppendOptions = { readonly ack?: AckLevel; readonly timeoutMs?: number; readonly isOwn?: boolean }

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

type Durable = { readonly partition: Partition; readonly span: LogSpan; readonly bytes: Buffer; readonly isAwaited: boolean }

/** A span on its way into the write-ahead log, and from there to the accumulator. */
class WalWrite implements WalTask {
  readonly partitionId: number
  readonly epoch: number
  readonly baseOffset: number
  readonly recordCount: number
  readonly batches: Buffer
  readonly #deps: Deps
  readonly #durable: Durable

  constructor(deps: Deps, durable: Durable) {
    const { partition, span, bytes } = durable
    this.partitionId = partition.id
    this.epoch = partition.epoch
    this.baseOffset = span.baseOffset
    this.recordCount = span.lastOffset - span.baseOffset + 1
    this.batches = bytes
    this.#deps = deps
    this.#durable = durable
  }

  kept(position: WalPosition): void {
    const { partition, span, isAwaited } = this.#durable
    span.placeAt(position)
    partition.markSynced(span)
    if (partition.isDeleted) this.#deps.wal?.settle(position)
    this.#deps.accumulator.add(partition, span, { isAwaited })
  }

  refused(error: AppError): void {
    const { partition, span } = this.#durable
    this.#deps.backlog.remove(span)
    // A full disk may have room again, and nothing of what waited for it was kept.
    if (error.code === 'LOG_FULL') partition.rewind(error)
    else partition.fail(error)
  }
}

/** The batches of one append on their way into the log: those that follow each other go on together. */
class OpenSpan {
  readonly #deps: Deps
  readonly #partition: Partition
  readonly #isAwaited: boolean
  #span: LogSpan | undefined
  #newest: LogSpan | undefined

  constructor(deps: Deps, partition: Partition, { isAwaited }: { isAwaited: boolean }) {
    this.#deps = deps
    this.#partition = partition
    this.#isAwaited = isAwaited
  }

  /** The last span that went into the write-ahead log. */
  get newest(): LogSpan | undefined {
    return this.#newest
  }

  /** The batch from `start` to `end` has its place when this returns. */
  add(bytes: Buffer, start: number, end: number): Begun {
    const { wal, backlog } = this.#deps
    const header = this.#partition.admit(bytes, start, end)
    // What is there already needs no room; refused again and again, it would be forgotten while its producer goes on.
    const duplicate = this.#findDuplicate(header)
    if (duplicate) return duplicate
    if (!this.#span?.isContinuedBy(header, bytes, start)) this.close()
    backlog.checkRoom()
    wal?.admit((this.#span?.sizeBytes ?? 0) + header.sizeBytes)
    const { span, appendTimeMs } = this.#partition.place(header, { bytes, at: start, open: this.#span })
    this.#span = span
    const { lastOffset } = span
    return { span, baseOffset: lastOffset - header.lastOffsetDelta, lastOffset, appendTimeMs, isDuplicate: false }
  }

  #findDuplicate(header: BatchHeader): Begun | undefined {
    const duplicate = this.#partition.producers.findDuplicate(header)
    if (!duplicate) return undefined
    const { accumulator, objectAckMs } = this.#deps
    const { batch: span, baseOffset, lastOffset } = duplicate
    if (span && this.#isAwaited) accumulator.closeWithin(objectAckMs)
    return { span, baseOffset, lastOffset, appendTimeMs: -1, isDuplicate: true }
  }

  /** What was added goes on its way. */
  close(): void {
    const { wal, backlog, accumulator } = this.#deps
    const span = this.#span
    const bytes = span?.bytes
    if (!span || !bytes) return
    this.#span = undefined
    backlog.add(span)
    const [partition, isAwaited] = [this.#partition, this.#isAwaited]
    if (!wal) return accumulator.add(partition, span, { isAwaited })
    this.#newest = span
    wal.enqueue(new WalWrite(this.#deps, { partition, span, bytes, isAwaited }))
  }
}

/** The way of a batch from its producer to the accumulator: it gets its place in the partition at once, and goes on when the write-ahead log has it. */
export class Appender {
  readonly #deps: Deps
  /** The last span that went into the write-ahead log: it is there, or has failed, when all before it are. */
  #newest: LogSpan | undefined
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
   * Appends whole record batches (version 2) to one partition, whose memory belongs to the log from now on: offsets are written into it. They have their places
   * when this returns; the sink hears when all of them are as durable as asked for, perhaps at once.
   * Refused are `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, `PARTITION_NOT_OWNED`, `RECORD_BATCH_INVALID`, `RECORD_BATCH_CORRUPT`, `RECORD_BATCH_TOO_LARGE`,
   * `PRODUCER_FENCED`, `PRODUCER_SEQUENCE_GAP`, `LOG_FULL`, `LOG_UNAVAILABLE`, `LOG_DAMAGED`, `SHUTTING_DOWN`; `TIMEOUT`: it may still come to be.
   */
  offer(ref: PartitionRef, { bytes, ends }: PackedBatches, options: AppendOptions, sink: AppendSink): void {
    let partition: Partition
    try {
      partition = this.#require(ref, options)
    } catch (thrown) {
      const error = toAppError(thrown)
      this.#deps.observer?.refused(error.code)
      sink(ends.map(() => error))
      return
    }
    const ack = this.#deps.wal || options.ack === 'none' ? (options.ack ?? partition.topic.durability) : 'object'
    const run = new AppendRun(this.#deps, { partition, ack, timeoutMs: options.timeoutMs ?? 0, sink })
    const spans = new OpenSpan(this.#deps, partition, { isAwaited: ack === 'object' })
    let start = 0
    for (const end of ends) {
      try {
        run.add(spans.add(bytes, start, end))
      } catch (thrown) {
        run.refuse(toAppError(thrown))
      }
      start = end
    }
    spans.close()
    this.#newest = spans.newest ?? this.#newest
    this.#deps.leases.keepCeiling(partition)
    run.wait()
  }

  /** Appends one batch; rejects with what it is refused with. */
  append(ref: PartitionRef, bytes: Buffer, options: AppendOptions): Promise<Appended> {
    return new Promise((resolve, reject) => {
      this.offer(ref, { bytes, ends: [bytes.length] }, options, ([result]) => {
        if (result && !(result instanceof AppError)) resolve(result)
        else reject(result)
      })
    })
  }

  #require(ref: PartitionRef, { isOwn = false }: AppendOptions): Partition {
    const topic = this.#deps.topics.get(ref.topic)
    if (topic.isInternal && !isOwn) {
      throw new AppError('TOPIC_INVALID', `only Millrace itself writes to topic "${topic.name}"; use another name`)
    }
    const partition = topic.partition(ref.partition)
    if (this.#isClosing) throw new AppError('SHUTTING_DOWN', 'the event log is stopping; repeat when it is back')
    if (this.#fault) throw this.#fault
    return partition
  }
}
