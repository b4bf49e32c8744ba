import { AppError } from '#lib/errors.ts'

/** At most so many at once; others wait in the order in which they came, and those above `maxWaiting` are refused. */
export class Permits {
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #free: number

  constructor({ count, maxWaiting }: { count: number; maxWaiting: number }) {
    this.#free = count
    this.#maxWaiting = maxWaiting
  }

  get free(): number {
    return this.#free
  }
  get waiting(): number {
    return this.#waiting.length
  }

  /** Resolves when there is a permit; disposing of it gives it to the next. Throws `LOG_UNAVAILABLE` when too many wait already. */
  async acquire(): Promise<Disposable> {
    if (this.#free > 0) {
      this.#free -= 1
    } else {
      if (this.#waiting.length >= this.#maxWaiting) {
        throw new AppError('LOG_UNAVAILABLE', `${this.#maxWaiting} reads of the object store are waiting already; repeat later`)
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return { [Symbol.dispose]: () => this.#release() }
  }

  /** Whoever waits takes the permit over, so that nobody who comes in between is faster. */
  #release(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }
}
