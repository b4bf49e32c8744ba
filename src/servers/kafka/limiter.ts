import { AppError } from '#lib/errors.ts'

/** Lets a few run at once and a few more wait. */
export class Limiter {
  readonly #concurrency: number
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** Without `maxWaiting`, whoever calls bounds how many wait. */
  constructor({ concurrency, maxWaiting = Number.POSITIVE_INFINITY }: { concurrency: number; maxWaiting?: number }) {
    this.#concurrency = concurrency
    this.#maxWaiting = maxWaiting
  }

  /** Throws `LIMIT_EXCEEDED` when too many wait already. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#concurrency) {
      if (this.#waiting.length >= this.#maxWaiting) {
        throw new AppError('LIMIT_EXCEEDED', `${this.#maxWaiting} wait for this already; try again later`)
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else {
      this.#running += 1
    }
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running -= 1
    }
  }
}
