import { AppError } from '#lib/errors.ts'
import type { LogBatch } from './log-batch.ts'

/** What one batch takes besides its bytes. Measured: a million batches without bytes are 310 MB of heap. */
export const batchOverheadBytes = 320
/** Batches that may wait for the object store at once: their bytes may lie on disk, these entries do not. */
const maxBatches = 1_000_000

/** What waits for the object store, and how much memory it takes. */
export class Backlog {
  readonly #memoryBytes: number
  #batchCount = 0
  #usedBytes = 0

  constructor({ memoryBytes }: { memoryBytes: number }) {
    this.#memoryBytes = memoryBytes
  }

  get batchCount(): number {
    return this.#batchCount
  }
  get usedBytes(): number {
    return this.#usedBytes
  }
  get isOverBudget(): boolean {
    return this.#usedBytes > this.#memoryBytes
  }

  /** Throws `LOG_UNAVAILABLE` when nothing more can wait: what could be given back to the disk has been. */
  checkRoom(): void {
    if (this.#batchCount < maxBatches && this.#usedBytes < 2 * this.#memoryBytes) return
    const message = `${this.#batchCount} batches wait for the object store, which does not keep up; repeat later, or see why it is slow`
    throw new AppError('LOG_UNAVAILABLE', message)
  }

  add(batch: LogBatch): void {
    this.#batchCount += 1
    this.#usedBytes += batchOverheadBytes + batch.memoryBytes
  }

  /** The batch waits no more; its memory is counted by whoever keeps it. */
  remove(batch: LogBatch): void {
    this.#batchCount -= 1
    this.#usedBytes -= batchOverheadBytes + batch.memoryBytes
  }

  /** Gives the bytes of a batch back, if the write-ahead log has them. */
  spill(batch: LogBatch): void {
    if (batch.position === undefined) return
    this.#usedBytes -= batch.memoryBytes
    batch.forgetBytes()
  }
}
