import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Timers } from '#lib/timers.ts'
import type { AckWait } from './log-batch.ts'

/** How late the end of a wait may be noticed. */
const stepMs = 100

type Limited = { readonly wait: AckWait; readonly timeoutMs: number; readonly dueMs: number }

/** Ends waits for durability that take too long. One timer looks after all of them, while there are any: one for each costs as much as a small batch's checksums. */
export class AckDeadlines {
  readonly #clock: Clock
  readonly #timers: Timers
  #limited: Limited[] = []

  constructor({ clock, timers }: { clock: Clock; timers: Timers }) {
    this.#clock = clock
    this.#timers = timers
  }

  /** Rejects the wait with `TIMEOUT` when it is not over in time, up to 100 ms late. */
  add(wait: AckWait, timeoutMs: number): void {
    if (this.#limited.length === 0) this.#arm()
    this.#limited.push({ wait, timeoutMs, dueMs: this.#clock.monotonicMs() + timeoutMs })
  }

  #arm(): void {
    this.#timers.after(stepMs, () => this.#sweep())
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    const limited = this.#limited.filter(({ wait }) => !wait.isOver)
    this.#limited = limited.filter(({ dueMs }) => dueMs > nowMs)
    if (this.#limited.length > 0) this.#arm()
    for (const { wait, timeoutMs, dueMs } of limited) {
      if (dueMs > nowMs) continue
      wait.isOver = true
      wait.reject(new AppError('TIMEOUT', `records were not as durable as asked for within ${timeoutMs} ms; they may be later`))
    }
  }
}
