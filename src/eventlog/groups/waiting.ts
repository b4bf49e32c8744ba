import { AppError } from '#lib/errors.ts'

/** The answer that a client waits for. It ends once: with the answer, with a fault, or because the client went away. */
export class Waiting<T> {
  readonly #resolvers = Promise.withResolvers<T>()
  readonly #signal: AbortSignal | undefined
  readonly #onAbort: () => void

  /** `gone` is called when the signal fires before the end. */
  constructor(signal: AbortSignal | undefined, gone: (waiting: Waiting<T>) => void) {
    this.#signal = signal
    this.#onAbort = () => {
      this.fail(new AppError('TIMEOUT', 'the client went away before its group had an answer'))
      gone(this)
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get promise(): Promise<T> {
    return this.#resolvers.promise
  }

  answer(value: T): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#resolvers.resolve(value)
  }

  fail(error: AppError): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#resolvers.reject(error)
  }
}
