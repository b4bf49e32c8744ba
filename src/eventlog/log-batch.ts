import type { BatchHeader } from '#formats/kafka/record-batch.ts'
import type { AppError } from '#lib/errors.ts'
import type { AckLevel } from './topic-config.ts'
import type { WalPosition } from './wal/wal.ts'

/** How far a batch has come. */
type Progress = 'appended' | 'synced' | 'committed'

const progressOf = { none: 'appended', wal: 'synced', object: 'committed' } as const satisfies Record<AckLevel, Progress>
const rank = { appended: 0, synced: 1, committed: 2 } as const satisfies Record<Progress, number>

type Waiter = { readonly progress: Progress; readonly resolve: () => void; readonly reject: (error: AppError) => void }

/**
 * One batch of a partition, from its append until it has left memory. Its bytes may be given back while it lies in the write-ahead log, from where it can
 * be read again.
 */
export class LogBatch {
  readonly header: BatchHeader
  readonly baseOffset: number
  readonly lastOffset: number
  readonly sizeBytes: number
  bytes: Buffer | undefined
  /** Where it lies in the write-ahead log, once it is synced there. */
  position: WalPosition | undefined
  #progress: Progress = 'appended'
  #failure: AppError | undefined
  #waiters: Waiter[] = []

  /** `header` is as the producer wrote it; `baseOffset` is what the partition assigned. */
  constructor(header: BatchHeader, baseOffset: number, bytes: Buffer | undefined) {
    this.header = header
    this.baseOffset = baseOffset
    this.lastOffset = baseOffset + header.lastOffsetDelta
    this.sizeBytes = header.sizeBytes
    this.bytes = bytes
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  hasReached(progress: Progress): boolean {
    return rank[this.#progress] >= rank[progress]
  }

  reach(progress: Progress): void {
    if (this.hasReached(progress)) return
    this.#progress = progress
    const waiters = this.#waiters
    if (waiters.length === 0) return
    this.#waiters = waiters.filter((waiter) => rank[waiter.progress] > rank[progress])
    for (const waiter of waiters) if (rank[waiter.progress] <= rank[progress]) waiter.resolve()
  }

  /** Nobody will hear of this batch again; what it had reached stays true. */
  fail(error: AppError): void {
    this.#failure ??= error
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  /** Resolves when the batch is that durable; rejects with the error that ended it. */
  async until(ack: AckLevel): Promise<void> {
    const progress = progressOf[ack]
    if (this.hasReached(progress)) return
    if (this.#failure) throw this.#failure
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ progress, resolve, reject })
    })
  }
}
