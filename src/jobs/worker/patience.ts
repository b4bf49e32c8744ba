import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'

/** How long something is tried that makes no progress, and how long between tries. */
export type Patience = { readonly firstMs: number; readonly maxMs: number; readonly giveUpMs: number }

/** Tries of one thing: each waits longer than the one before, until nothing has moved for `giveUpMs`. */
export class Tries {
  readonly #patience: Patience
  readonly #backoff: Backoff
  #movedAtMs = performance.now()

  constructor(patience: Patience) {
    this.#patience = patience
    this.#backoff = new Backoff(patience)
  }

  /** In a row, since something moved. */
  get failures(): number {
    return this.#backoff.attempts
  }

  /** Something moved: patience begins anew. */
  moved(): void {
    this.#movedAtMs = performance.now()
    this.#backoff.reset()
  }

  /** Waits before the next try; throws `error` when patience is at its end, or the reason of the fired signal. */
  async wait(error: unknown, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (performance.now() - this.#movedAtMs >= this.#patience.giveUpMs) throw error
    await sleep(this.#backoff.nextMs(), signal)
    signal.throwIfAborted()
  }
}
