import type { LogSpan } from './log-span.ts'

/** The newest spans of a partition, in order of offset and without a hole: all that are not committed, and before them those the tail cache keeps. */
export class RecentSpans {
  /** Dropped spans leave `undefined` in front; removing them one by one would move all others. */
  #slots: (LogSpan | undefined)[] = []
  #dropped = 0

  get length(): number {
    return this.#slots.length - this.#dropped
  }
  get first(): LogSpan | undefined {
    return this.#slots[this.#dropped]
  }
  get last(): LogSpan | undefined {
    return this.#slots.at(-1)
  }

  push(span: LogSpan): void {
    this.#slots.push(span)
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
  dropFrom(offset: number): LogSpan[] {
    return this.#slots.splice(this.#indexOf(offset)).filter((span) => span !== undefined)
  }

  /**
   * Those that end at or after `offset`, in order. Between two of them others may be dropped: whoever waits in between must expect a hole where the next ones
   * have left.
   */
  *from(offset: number): Generator<LogSpan, void, undefined> {
    for (let next = offset; ;) {
      const span = this.#slots[this.#indexOf(next)]
      if (span === undefined) return
      yield span
      next = span.lastOffset + 1
    }
  }

  /** The first slot whose span ends at or after `offset`. */
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
