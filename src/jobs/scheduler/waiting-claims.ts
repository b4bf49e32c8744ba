import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Timers } from '#lib/timers.ts'

/** One ask for work. `taken`: tasks that it got; `isFinal`: there is no use in asking again. */
export type Ask<Answer> = () => Promise<{ readonly answer: Answer; readonly taken: number; readonly isFinal: boolean }>

type Options = {
  readonly clock: Clock
  readonly timers: Timers
  /** Asks of those who come, and as many of those who wait, that may be under way at once: each takes one of eight connections, and a flood of claims leaves half. */
  readonly maxAsks?: number
  readonly maxWaiting?: number
}

/** `seen`: the last hint that it knows. */
type Waiter = { readonly seen: number; readonly resume: (mayAsk: boolean) => void }

const defaultMaxAsks = 2
const defaultMaxWaiting = 5000

/**
 * Workers that wait for work. When `count` tasks become ready, waiters ask in the order in which they began to wait, a few at a time, until so many tasks are
 * taken or everybody has asked once: a task for one worker does not make five hundred of them ask.
 */
export class WaitingClaims {
  readonly #options: Required<Options>
  /** In the order in which they began to wait. */
  readonly #waiting = new Set<Waiter>()
  /** Grows with each hint: who has asked since then is not asked again. */
  #hints = 0
  /** Tasks that were hinted at and not yet taken. */
  #credit = 0
  /** Asks that the hints allow. */
  #asksLeft = 0
  #asking = 0
  /** Asks of those who just came. */
  #arriving = 0
  /** Those who came when it was too many; each is handed the place of one that ended. */
  readonly #queued: (() => void)[] = []
  #isClosed = false

  constructor({ maxAsks = defaultMaxAsks, maxWaiting = defaultMaxWaiting, ...rest }: Options) {
    this.#options = { ...rest, maxAsks, maxWaiting }
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Asks at once, then each time that it is its turn, until there is something or the time is over. A fired `signal` ends the wait with the last answer.
   * Throws `CLIENT_LIMIT` when too many wait.
   */
  async claim<Answer>(ask: Ask<Answer>, { waitMs, signal }: { waitMs: number; signal: AbortSignal }): Promise<Answer> {
    const untilMs = this.#options.clock.monotonicMs() + waitMs
    let hasTurn = false
    for (;;) {
      // Before it asks: what becomes ready meanwhile is another reason to ask.
      const seen = this.#hints
      const { answer, taken, isFinal } = await (hasTurn ? this.#ask(ask, hasTurn) : this.#askOnArrival(ask))
      const leftMs = untilMs - this.#options.clock.monotonicMs()
      if (taken > 0 || isFinal || leftMs <= 0 || signal.aborted || this.#isClosed) return answer
      hasTurn = await this.#turn({ seen, leftMs, signal })
      if (!hasTurn) return answer
    }
  }

  /** So many tasks became ready. `maxAsks`: where they may be for nobody here, not everybody is to ask. */
  hint(count: number, { maxAsks = Infinity } = {}): void {
    if (count <= 0) return
    this.#hints += 1
    this.#credit = Math.min(this.#credit + count, this.#options.maxWaiting)
    this.#asksLeft = Math.max(this.#asksLeft, maxAsks)
    this.#grant()
  }

  /** Ends all waits. */
  close(): void {
    this.#isClosed = true
    for (const waiter of this.#waiting) this.#end(waiter, false)
  }

  async #askOnArrival<Answer>(ask: Ask<Answer>): ReturnType<Ask<Answer>> {
    const { maxAsks, maxWaiting } = this.#options
    if (this.#arriving < maxAsks) this.#arriving += 1
    else {
      if (this.#queued.length >= maxWaiting) throw tooMany(maxWaiting)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#queued.push(resolve)
      await promise
    }
    try {
      return await this.#ask(ask, false)
    } finally {
      const next = this.#queued.shift()
      if (next) next()
      else this.#arriving -= 1
    }
  }

  async #ask<Answer>(ask: Ask<Answer>, hasTurn: boolean): ReturnType<Ask<Answer>> {
    let taken = 0
    try {
      const result = await ask()
      taken = result.taken
      return result
    } finally {
      this.#credit = Math.max(0, this.#credit - taken)
      if (hasTurn) {
        this.#asking -= 1
        this.#grant()
      }
    }
  }

  /** True: it may ask. False: the time is over, or nobody listens any more. */
  async #turn({ seen, leftMs, signal }: { seen: number; leftMs: number; signal: AbortSignal }): Promise<boolean> {
    const { timers, maxWaiting } = this.#options
    if (this.#waiting.size >= maxWaiting) {
      throw tooMany(maxWaiting)
    }
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const waiter: Waiter = { seen, resume: resolve }
    const giveUp = (): void => this.#end(waiter, false)
    this.#waiting.add(waiter)
    using _timer = timers.after(leftMs, giveUp)
    signal.addEventListener('abort', giveUp, { once: true })
    this.#grant()
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  #grant(): void {
    while (this.#asking < Math.min(this.#options.maxAsks, this.#credit)) {
      const next = this.#asksLeft > 0 ? this.#next() : undefined
      if (next === undefined) {
        // Everybody has asked: what is left is for workers who are not here.
        if (this.#asking === 0) this.#credit = this.#asksLeft = 0
        return
      }
      this.#asking += 1
      this.#asksLeft -= 1
      this.#end(next, true)
    }
  }

  #end(waiter: Waiter, mayAsk: boolean): void {
    this.#waiting.delete(waiter)
    waiter.resume(mayAsk)
  }

  /** The first that has not asked since the last hint. */
  #next(): Waiter | undefined {
    for (const waiter of this.#waiting) if (waiter.seen < this.#hints) return waiter
    return undefined
  }
}

function tooMany(maxWaiting: number): AppError {
  return new AppError('CLIENT_LIMIT', `${maxWaiting} workers wait for work here, the most allowed; ask another node`)
}
