import { AppError } from '#lib/errors.ts'
import type { LogSpan } from './log-span.ts'

/** What one span takes besides its bytes. Measured: a million spans without bytes are 310 MB of heap. */
export const spanOverheadBytes = 320
/** Spans that may wait for the object store at once: their bytes may lie on disk, these entries do not. */
const maxSpans = 1_000_000

/** What waits for the object store, and how much memory it takes. */
export class Backlog {
  readonly #memoryBytes: number
  #spanCount = 0
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
    if (this.#spanCount < maxSpans && this.#usedBytes < 2 * this.#memoryBytes) return
    const message = `${this.#batchCount} batches wait for the object store, which does not keep up; repeat later, or see why it is slow`
    throw new AppError('LOG_UNAVAILABLE', message)
  }

  add(span: LogSpan): void {
    this.#spanCount += 1
    this.#batchCount += span.batchCount
    this.#usedBytes += spanOverheadBytes + span.memoryBytes
  }

  /** The span waits no more; its memory is counted by whoever keeps it. */
  remove(span: LogSpan): void {
    this.#spanCount -= 1
    this.#batchCount -= span.batchCount
    this.#usedBytes -= spanOverheadBytes + span.memoryBytes
  }

  /** Gives the bytes of a span back, if the write-ahead log has them. */
  spill(span: LogSpan): void {
    if (span.position === undefined) return
    this.#usedBytes -= span.memoryBytes
    span.forgetBytes()
  }
}
