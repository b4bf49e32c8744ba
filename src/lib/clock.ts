/** Where time comes from. Wall time may jump; monotonic time only grows. Code that needs time takes a `Clock`. */
export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. */
  nowMs(): number
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() }

/** A clock that stands still until the test moves it. */
export class ManualClock implements Clock {
  #nowMs: number
  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
  }
  nowMs(): number {
    return this.#nowMs
  }
  monotonicMs(): number {
    return this.#nowMs
  }
  advance(ms: number): void {
    this.#nowMs += ms
  }
}
