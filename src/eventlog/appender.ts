import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Accumulator } from './accumulator.ts'
import type { AckDeadlines } from './ack-deadlines.ts'
import { AppendRun, type Appended, type AppendSink, type Begun, type LogObserver } from './append-run.ts'
import type { Backlog } from './backlog.ts'
import type { Leases } from './leases.ts'
import type { LogBatch } from './log-batch.ts'
import type { Partition } from './partition.ts'
import type { AckLevel } from './topic-config.ts'
import type { Topics } from './topics.ts'
import type { Wal, WalPosition, WalTask } from './wal/wal.ts'

export type PartitionRef = { readonly topic: string; readonly partition: number }

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
   * Appends whole record batches (version 2) to one partition, whose memory belongs to the log from now on: offsets are written into it. They have their places
   * when this returns; the sink hears when all of them are as durable as asked for, perhaps at once.
   * Refused are `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, `PARTITION_NOT_OWNED`, `RECORD_BATCH_INVALID`, `RECORD_BATCH_CORRUPT`, `RECORD_BATCH_TOO_LARGE`,
   * `PRODUCER_FENCED`, `PRODUCER_SEQUENCE_GAP`, `LOG_FULL`, `LOG_UNAVAILABLE`, `LOG_DAMAGED`, `SHUTTING_DOWN`; `TIMEOUT`: it may still come to be.
   */
  offer(ref: PartitionRef, batches: readonly Buffer[], options: AppendOptions, sink: AppendSink): void {
    let partition: Partition
    try {
      partition = this.#require(ref, options)
    } catch (thrown) {
      const error = toAppError(thrown)
      this.#deps.observer?.refused(error.code)
      sink(batches.map(() => error))
      return
    }
    const ack = this.#deps.wal || options.ack === 'none' ? (options.ack ?? partition.topic.durability) : 'object'
    const run = new AppendRun(this.#deps, { partition, ack, timeoutMs: options.timeoutMs ?? 0, sink })
    for (const bytes of batches) {
      try {
        run.add(this.#begin(partition, bytes, { isAwaited: ack === 'object' }))
      } catch (thrown) {
        run.refuse(toAppError(thrown))
      }
    }
    this.#deps.leases.keepCeiling(partition)
    run.wait()
  }

  /** Appends one batch; rejects with what it is refused with. */
  append(ref: PartitionRef, bytes: Buffer, options: AppendOptions): Promise<Appended> {
    return new Promise((resolve, reject) => {
      this.offer(ref, [bytes], options, ([result]) => {
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

  /** All of an append but the wait: the batch has its place when this returns. */
  #begin(partition: Partition, bytes: Buffer, { isAwaited }: { isAwaited: boolean }): Begun {
    const { wal, backlog, accumulator, objectAckMs } = this.#deps
    const header = partition.admit(bytes)
    // What is there already needs no room; refused again and again, it would be forgotten while its producer goes on.
    const duplicate = partition.producers.findDuplicate(header)
    if (duplicate) {
      const { batch, baseOffset, lastOffset } = duplicate
      if (batch && isAwaited) accumulator.closeWithin(objectAckMs)
      return { batch, baseOffset, lastOffset, appendTimeMs: -1, isDuplicate: true }
    }
    backlog.checkRoom()
    wal?.admit(bytes.length)
    const { batch, appendTimeMs } = partition.place(bytes, header)
    backlog.add(batch)
    if (wal) {
      this.#newest = batch
      wal.enqueue(new WalWrite(this.#deps, { partition, batch, bytes, isAwaited }))
    } else accumulator.add(partition, batch, { isAwaited })
    return { batch, baseOffset: batch.baseOffset, lastOffset: batch.lastOffset, appendTimeMs, isDuplicate: false }
  }
}
