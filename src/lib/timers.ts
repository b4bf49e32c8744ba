import type { ManualClock } from './clock.ts'

/** Runs things later. Code that waits takes `Timers`, so that a simulation decides what later is. */
export interface Timers {
  /** Calls `run` once after `delayMs`, at 0 in the next turn of the event loop; disposing of the result before cancels it. */
  after(delayMs: number, run: () => void): Disposable
}

/** Timers of the process; they do not keep it alive. */
export const systemTimers: Timers = {
  after: (delayMs, run) => (delayMs === 0 ? setImmediate(run) : setTimeout(run, delayMs).unref()),
}

type ManualTimer = { readonly dueMs: number; readonly run: () => void }

/** Timers that stand still until the test moves them, and with them the clock that they were given. */
export class ManualTimers implements Timers {
  readonly #clock: ManualClock
  /** In the order in which they were set. */
  readonly #waiting = new Set<ManualTimer>()

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  /** How many have neither run nor been cancelled. */
  get pending(): number {
    return this.#waiting.size
  }

  after(delayMs: number, run: () => void): Disposable {
    const timer = { dueMs: this.#clock.monotonicMs() + Math.max(0, delayMs), run }
    this.#waiting.add(timer)
    return { [Symbol.dispose]: () => void this.#waiting.delete(timer) }
  }

  /** Goes on by `ms`: whatever is due runs at its own time, the earliest first, and what follows from it settles before the next. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + ms
    for (;;) {
      await settled()
      const next = this.#earliest()
      if (next === undefined || next.dueMs > untilMs) break
      this.#waiting.delete(next)
      this.#clock.advance(Math.max(0, next.dueMs - this.#clock.monotonicMs()))
      next.run()
    }
    this.#clock.advance(untilMs - this.#clock.monotonicMs())
  }

  #earliest(): ManualTimer | undefined {
    let earliest: ManualTimer | undefined
    for (const timer of this.#waiting) if (earliest === undefined || timer.dueMs < earliest.dueMs) earliest = timer
    return earliest
  }
}

/** Resolves when all promises that could go on have done so. */
async function settled(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve))
}
