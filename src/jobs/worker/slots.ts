/** One slot for each core that the process may use: an encoder with n threads costs about n slots. */
export function slotsFor(cores: number): number {
  return Math.max(1, Math.floor(cores))
}

/** What a worker can do at once. A task takes as many slots as it costs, and gives them back when no process works for it any more and its outcome was told. */
export class Slots {
  readonly total: number
  #used = 0
  #waiting: (() => void)[] = []

  constructor(total: number) {
    this.total = total
  }

  get used(): number {
    return this.#used
  }
  /** Never negative, also where the API gave more than fits. */
  get free(): number {
    return Math.max(0, this.total - this.#used)
  }

  /** Disposing of the result gives them back, once. */
  take(cost: number): Disposable {
    this.#used += cost
    let isHeld = true
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return
        isHeld = false
        this.#used -= cost
        const waiting = this.#waiting
        this.#waiting = []
        for (const wake of waiting) wake()
      },
    }
  }

  /** Resolves when a slot is free, or the signal fires. */
  async whenFree(signal: AbortSignal): Promise<void> {
    while (this.free === 0 && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.push(resolve)
      const stop = () => resolve()
      signal.addEventListener('abort', stop, { once: true })
      await promise
      signal.removeEventListener('abort', stop)
    }
  }
}
