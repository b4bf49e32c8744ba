import type { LogBatch } from './log-batch.ts'

/** The newest batches of a partition, in order of offset and without a hole: all that are not committed, and before them those the tail cache keeps. */
export class RecentBatches {
  /** Dropped batches leave `undefined` in front; removing them one by one would move all others. */
  #slots: (LogBatch | undefined)[] = []
  #dropped = 0

  get length(): number {
    return this.#slots.length - this.#dropped
  }
  get first(): LogBatch | undefined {
    return this.#slots[this.#dropped]
  }
  get last(): LogBatch | undefined {
    return this.#slots.at(-1)
  }

  push(batch: LogBatch): void {
    this.#slots.push(batch)
  }

  dropFirst(): void {
    if (this.length === 0) return
    this.#slots[this.#dropped] = undefined
    this.#dropped += 1
    if (this.#dropped < 64 || this.#dropped * 2 < this.#slots.length) return
    this.#slots = this.#slots.slice(this.#dropped)
    this.#dropped = 0
  }

  /** Takes those that end at or after `offset` out again, and returns them. */
  dropFrom(offset: number): LogBatch[] {
    return this.#slots.splice(this.#indexOf(offset)).filter((batch) => batch !== undefined)
  }

  /**
   * Those that end at or after `offset`, in order. Between two of them others may be dropped: whoever waits in between must expect a hole where the next ones
   * have left.
   */
  *from(offset: number): Generator<LogBatch, void, undefined> {
    for (let next = offset; ;) {
      const batch = this.#slots[this.#indexOf(next)]
      if (batch === undefined) return
      yield batch
      next = batch.lastOffset + 1
    }
  }

  /** The first slot whose batch ends at or after `offset`. */
  #indexOf(offset: number): number {
    let [low, high] = [this.#dropped, this.#slots.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#slots[middle]?.lastOffset ?? -1) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
