import type { Timers } from '#lib/timers.ts'

/** What is to be written next. */
export type Waiting = { readonly entries: number; readonly bytes: number }

/** How many turns of the event loop appends may gather for one write. */
const maxTurns = 64
/** A group of so many bytes is not waited for: their number is what takes the time then. */
const enoughBytes = 1_048_576
/** What was seen counts this much less with each group: whoever has left is soon not waited for. */
const expectationDecay = 0.99

/**
 * When a group of appends is worth a write: as soon as half of what producers have on their way has come. The other half then comes while this one is written,
 * and disk and processor work at the same time; with smaller groups producers would wait for more writes, and each takes the same time.
 */
export class GroupPace {
  readonly #timers: Timers
  readonly #lingerMs: number
  /** Entries that producers have on their way at once, as seen lately. */
  #expected = 0
  #endPause: (() => void) | undefined

  /** With `lingerMs` above 0 a group waits for so long, whatever has come. */
  constructor({ timers, lingerMs }: { timers: Timers; lingerMs: number }) {
    this.#timers = timers
    this.#lingerMs = lingerMs
  }

  /** So many entries are waiting, or were written and their producers do not know yet. */
  observe(entries: number): void {
    this.#expected = Math.max(entries, this.#expected * expectationDecay)
  }

  /** Whether to write at once. */
  isEnough(waiting: Waiting): boolean {
    return this.#lingerMs === 0 && this.#isWorthIt(waiting)
  }

  /** Waits for more: as long as is set; at 0 some turns of the event loop, until it is enough. */
  async gather(waiting: () => Waiting): Promise<void> {
    if (this.#lingerMs > 0) return await this.#pause(this.#lingerMs)
    for (let turns = 0; turns < maxTurns && !this.#isWorthIt(waiting()); turns++) await this.#pause(0)
  }

  /** Something was added. A wait for turns ends when it is enough: what else comes in the same turn is for the next group. */
  added(waiting: Waiting): void {
    if (this.isEnough(waiting)) this.#endPause?.()
  }

  #isWorthIt({ entries, bytes }: Waiting): boolean {
    return entries >= this.#expected / 2 || bytes >= enoughBytes
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#endPause = resolve
      void this.#timers.after(delayMs, resolve)
    })
  }
}
