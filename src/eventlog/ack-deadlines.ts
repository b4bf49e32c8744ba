import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Timers } from '#lib/timers.ts'

/** How late the end of a wait may be noticed. */
const stepMs = 100

/** A wait that may take `timeoutMs`. `dueMs` and `place` belong to the deadlines. */
export interface LimitedWait {
  readonly timeoutMs: number
  dueMs: number
  /** Where it stands among those that wait; -1: nowhere. */
  place: number
  ended(error: AppError): void
}

/** Ends waits for durability that take too long. One timer looks after all of them, while there are any: one for each costs as much as a small batch's checksums. */
export class AckDeadlines {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #waits: LimitedWait[] = []
  #isArmed = false

  constructor({ clock, timers }: { clock: Clock; timers: Timers }) {
    this.#clock = clock
    this.#timers = timers
  }

  /** Ends the wait with `TIMEOUT` when it is not removed in time, up to 100 ms late. */
  add(wait: LimitedWait, nowMs: number): void {
    wait.dueMs = nowMs + wait.timeoutMs
    wait.place = this.#waits.length
    this.#waits.push(wait)
    if (!this.#isArmed) this.#arm()
  }

  /** The wait is over. Does nothing for one that is not there. */
  remove(wait: LimitedWait): void {
    const { place } = wait
    if (place < 0) return
    wait.place = -1
    const last = this.#waits.pop()
    if (!last || last === wait) return
    this.#waits[place] = last
    last.place = place
  }

  #arm(): void {
    this.#isArmed = true
    this.#timers.after(stepMs, () => this.#sweep())
  }

  #sweep(): void {
    this.#isArmed = false
    const nowMs = this.#clock.monotonicMs()
    const late = this.#waits.filter(({ dueMs }) => dueMs <= nowMs)
    for (const wait of late) this.remove(wait)
    if (this.#waits.length > 0) this.#arm()
    for (const wait of late) {
      wait.ended(
        new AppError('TIMEOUT', `records were not as durable as asked for within ${wait.timeoutMs} ms; they may be later`),
      )
    }
  }
}
