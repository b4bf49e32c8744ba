import type { Clock } from '#lib/clock.ts'
import type { Timers } from '#lib/timers.ts'

type Waiting = { readonly dueMs: number; readonly run: () => void }

/**
 * Time that goes on only when nothing else can: whoever waits for a timer gets it at once, in order, whatever real time it is. The wall clock may be set; the
 * monotonic one, which timers follow, only grows.
 */
export class SimTime implements Clock, Timers {
  readonly #isBusy: () => boolean
  readonly #waiting = new Set<Waiting>()
  #monotonicMs = 0
  #startMs = Date.UTC(2026, 0, 1)

  /** `isBusy`: something is under way that takes turns of the event loop. */
  constructor({ isBusy = () => false }: { isBusy?: () => boolean } = {}) {
    this.#isBusy = isBusy
  }

  nowMs(): number {
    return Math.floor(this.#startMs + this.#monotonicMs)
  }
  monotonicMs(): number {
    return this.#monotonicMs
  }

  /** Sets the wall clock forward, or back. */
  jump(ms: number): void {
    this.#startMs += ms
  }

  after(delayMs: number, run: () => void): Disposable {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), run }
    this.#waiting.add(timer)
    return { [Symbol.dispose]: () => void this.#waiting.delete(timer) }
  }

  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => void this.after(ms, resolve))
  }

  /** Goes on until the condition holds after something has run; false: it did not within the limit, or nothing is left that could run. */
  async run({ until, limitMs }: { until: () => boolean; limitMs: number }): Promise<boolean> {
    const endMs = this.#monotonicMs + limitMs
    for (;;) {
      await this.settle()
      if (until()) return true
      const next = this.#earliest()
      if (next === undefined || next.dueMs > endMs) return false
      this.#waiting.delete(next)
      this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs)
      next.run()
    }
  }

  /** The outcome of a promise, which comes within the limit. */
  async settlement<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    let isSettled = false
    const onSettled = (): void => {
      isSettled = true
    }
    promise.then(onSettled, onSettled)
    if (!(await this.run({ until: () => isSettled, limitMs }))) throw new Error(`nothing comes of it within ${limitMs} ms`)
    return await promise
  }

  /** Resolves when all promises that could go on have done so. */
  async settle(): Promise<void> {
    do await new Promise<void>((resolve) => setImmediate(resolve))
    while (this.#isBusy())
  }

  #earliest(): Waiting | undefined {
    let earliest: Waiting | undefined
    for (const timer of this.#waiting) if (earliest === undefined || timer.dueMs < earliest.dueMs) earliest = timer
    return earliest
  }
}
