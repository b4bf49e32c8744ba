import { AppError } from '#lib/errors.ts'

/** Lends the one connection to one holder at a time, in order of asking. Whoever waits longer than `timeoutMs` gets `DATABASE_UNAVAILABLE`. */
export class ConnectionLock {
  readonly #timeoutMs: number
  readonly #waiters = new Set<() => void>()
  #isHeld = false

  constructor({ timeoutMs }: { timeoutMs: number }) {
    this.#timeoutMs = timeoutMs
  }

  async acquire(): Promise<void> {
    if (!this.#isHeld) {
      this.#isHeld = true
      return
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(proceed)
        reject(
          new AppError(
            'DATABASE_UNAVAILABLE',
            `waited ${this.#timeoutMs} ms for the database connection; a transaction holds it too long, or waits for a query outside itself`,
          ),
        )
      }, this.#timeoutMs)
      const proceed = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#waiters.add(proceed)
    })
  }

  release(): void {
    const [next] = this.#waiters
    if (!next) {
      this.#isHeld = false
      return
    }
    this.#waiters.delete(next)
    next()
  }
}
