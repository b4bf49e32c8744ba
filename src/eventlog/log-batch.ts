import type { BatchHeader } from '#formats/kafka/record-batch.ts'
import type { AppError } from '#lib/errors.ts'
import type { AckLevel } from './topic-config.ts'
import type { WalPosition } from './wal/wal.ts'

/** How far a batch has come. */
type Progress = 'appended' | 'synced' | 'committed'

const progressOf = { none: 'appended', wal: 'synced', object: 'committed' } as const satisfies Record<AckLevel, Progress>
const rank = { appended: 0, synced: 1, committed: 2 } as const satisfies Record<Progress, number>

/** Somebody waits until a batch is durable. Rejecting it ends only this wait. */
export type AckWait = {
  readonly progress: Progress
  readonly resolve: () => void
  readonly reject: (error: AppError) => void
  isOver: boolean
}

const noWaits: readonly AckWait[] = []

/**
 * One batch of a partition, from its append until it has left memory. Its bytes may be given back while it lies in the write-ahead log, from where it can
 * be read again.
 */
export class LogBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly sizeBytes: number
  /** As in the header; the rest of it is not kept, for there may be a million of these. */
  readonly producerId: number
  readonly maxTimestampMs: number
  bytes: Buffer | undefined
  /** Where it lies in the write-ahead log, once it is synced there. */
  position: WalPosition | undefined
  #progress: Progress = 'appended'
  #failure: AppError | undefined
  #waits = noWaits

  /** `header` is as the producer wrote it; `baseOffset` is what the partition assigned. */
  constructor(header: BatchHeader, baseOffset: number, bytes: Buffer | undefined) {
    this.baseOffset = baseOffset
    this.lastOffset = baseOffset + header.lastOffsetDelta
    this.sizeBytes = header.sizeBytes
    this.producerId = header.producerId
    this.maxTimestampMs = header.maxTimestampMs
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
    const waits = this.#waits
    if (waits.length === 0) return
    this.#waits = noWaits
    for (const wait of waits) {
      if (rank[wait.progress] > rank[progress]) this.#waits = [...this.#waits, wait]
      else {
        wait.isOver = true
        wait.resolve()
      }
    }
  }

  /** Nobody will hear of this batch again; what it had reached stays true. */
  fail(error: AppError): void {
    this.#failure ??= error
    for (const wait of this.#waits) {
      wait.isOver = true
      wait.reject(error)
    }
    this.#waits = noWaits
  }

  /** Resolves when the batch is that durable; rejects with the error that ended it. `onWait` is told of the wait, if there is one. */
  until(ack: AckLevel, onWait?: (wait: AckWait) => void): Promise<void> {
    const progress = progressOf[ack]
    if (this.hasReached(progress)) return Promise.resolve()
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise<void>((resolve, reject) => {
      const wait = { progress, resolve, reject, isOver: false }
      this.#waits = this.#waits.length === 0 ? [wait] : [...this.#waits, wait]
      onWait?.(wait)
    })
  }
}
