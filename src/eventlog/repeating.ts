import type { Timers } from '#lib/timers.ts'

/** Does its work now, to its end; the answer is how long to wait until the next time. Fires the signal when it should come to an end soon. */
export type Work = (signal: AbortSignal) => Promise<number>

type Options = {
  readonly timers: Timers
  readonly firstDelayMs: number
  /** Handles its own errors. */
  readonly work: Work
}

/** Work that is done again and again, never twice at once. */
export class Repeating implements AsyncDisposable {
  readonly #timers: Timers
  readonly #work: Work
  readonly #closing = new AbortController()
  #timer: Disposable | undefined
  #running: Promise<void> | undefined

  constructor({ timers, firstDelayMs, work }: Options) {
    this.#timers = timers
    this.#work = work
    this.#schedule(firstDelayMs)
  }

  /** Ends the repetition; resolves when work that is being done has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#timer?.[Symbol.dispose]()
    await this.#running
  }

  #schedule(delayMs: number): void {
    if (this.#closing.signal.aborted) return
    this.#timer = this.#timers.after(delayMs, () => {
      this.#running = this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#schedule(await this.#work(this.#closing.signal))
  }
}
