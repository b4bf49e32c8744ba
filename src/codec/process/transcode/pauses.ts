import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work without a pause may not be longer: who cancels, and who asks for a sign of life, is heard in the pauses. */
const pauseEachMs = 50

/** Pauses in long synchronous work. */
export class Pauses {
  readonly #signal: AbortSignal
  #lastMs = performance.now()

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Pauses when it is time to. Throws the signal's reason. */
  async next(): Promise<void> {
    const nowMs = performance.now()
    if (nowMs - this.#lastMs < pauseEachMs) return
    await nextTurn()
    this.#lastMs = nowMs
    this.#signal.throwIfAborted()
  }
}
