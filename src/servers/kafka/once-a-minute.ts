import type { Clock } from '#lib/clock.ts'

const quietMs = 60_000
const maxKeys = 10_000

/** Decides which of many like events are worth a line in the log: one a minute for each key, with how many there were. */
export class OnceAMinute {
  readonly #clock: Clock
  readonly #keys = new Map<string, { count: number; readonly untilMs: number }>()

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock
  }

  /** How many there were since the last line; `undefined`: leave it. Beyond ten thousand keys the oldest are forgotten. */
  count(key: string): number | undefined {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#keys.get(key)
    if (known && nowMs < known.untilMs) {
      known.count += 1
      return undefined
    }
    this.#keys.delete(key)
    this.#keys.set(key, { count: 0, untilMs: nowMs + quietMs })
    const [oldest] = this.#keys.keys()
    if (this.#keys.size > maxKeys && oldest !== undefined) this.#keys.delete(oldest)
    return (known?.count ?? 0) + 1
  }
}
