import { AppError } from '#lib/errors.ts'

type Waiter = { readonly isReady: () => boolean; readonly settle: (error?: AppError) => void }

/** Requests that wait for something to become true. Looked at once after each change, however many changes a turn of the loop brings. */
export class Waiters {
  readonly #capacity: number
  readonly #waiting = new Set<Waiter>()
  #isCheckQueued = false

  constructor({ capacity }: { capacity: number }) {
    this.#capacity = capacity
  }

  /** Throws `HLS_NOT_READY` after `timeoutMs`, when the signal fires, or when too many wait already. */
  async until(
    isReady: () => boolean,
    { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<void> {
    if (isReady()) return
    if (signal?.aborted) throw new AppError('HLS_NOT_READY', 'the request was given up')
    if (this.#waiting.size >= this.#capacity) {
      throw new AppError('HLS_NOT_READY', `${this.#capacity} requests wait for this stream already; try again later`)
    }
    await new Promise<void>((resolve, reject) => {
      const giveUp = (): void => waiter.settle(new AppError('HLS_NOT_READY', 'the request was given up'))
      const timer = setTimeout(() => {
        waiter.settle(new AppError('HLS_NOT_READY', `the stream brought nothing new within ${timeoutMs} ms; ask again`))
      }, timeoutMs)
      const waiter: Waiter = {
        isReady,
        settle: (error) => {
          this.#waiting.delete(waiter)
          clearTimeout(timer)
          signal?.removeEventListener('abort', giveUp)
          if (error) reject(error)
          else resolve()
        },
      }
      this.#waiting.add(waiter)
      signal?.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** Something changed: whoever has what it waits for goes on when the current work is done. */
  notify(): void {
    if (this.#isCheckQueued) return
    this.#isCheckQueued = true
    queueMicrotask(() => {
      this.#isCheckQueued = false
      for (const waiter of this.#waiting) {
        if (waiter.isReady()) waiter.settle()
      }
    })
  }
}
