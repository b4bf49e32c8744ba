import type { Clock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'

/** Periodic work that one node does at a time. All of it may be done twice without harm. */
export type Duty = {
  readonly name: string
  readonly everyMs: number
  readonly run: () => Promise<void>
}

/** What this needs of the store. */
interface DutyStore {
  takeDuty(request: { readonly name: string; readonly holder: string; readonly ttlMs: number }): Promise<number | undefined>
}

type Options = {
  readonly duties: readonly Duty[]
  readonly store: DutyStore
  /** Of this process, not of the machine: after a restart it is somebody else. */
  readonly holder: string
  readonly timers: Timers
  readonly clock: Clock
  readonly log: Logger
}

/** A holder that died is replaced after this time at the latest, and one that is slow is not replaced before. */
const longestTtlMs = 60_000
const shortestTtlMs = 6_000

/** Runs each duty in its rhythm while this node holds it; the others try to take it over in the same rhythm. */
export class Duties implements AsyncDisposable {
  readonly #options: Options
  readonly #timers = new Map<string, Disposable>()
  readonly #running = new Map<string, Promise<void>>()
  readonly #held = new Set<string>()
  #isClosed = false

  constructor(options: Options) {
    this.#options = options
  }

  start(): void {
    for (const duty of this.#options.duties) this.#later(duty, 0)
  }

  /** Names of those that this node held when it last looked. */
  get held(): readonly string[] {
    return [...this.#held].sort()
  }

  /** Waits for what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const timer of this.#timers.values()) timer[Symbol.dispose]()
    await Promise.all(this.#running.values())
  }

  #later(duty: Duty, delayMs: number): void {
    if (this.#isClosed) return
    const run = (): void => {
      const startedAtMs = this.#options.clock.monotonicMs()
      const running = this.#turn(duty).finally(() => {
        this.#running.delete(duty.name)
        this.#later(duty, Math.max(0, startedAtMs + duty.everyMs - this.#options.clock.monotonicMs()))
      })
      this.#running.set(duty.name, running)
    }
    this.#timers.set(duty.name, this.#options.timers.after(delayMs, run))
  }

  /** Never throws: what failed is tried at the next turn. */
  async #turn({ name, everyMs, run }: Duty): Promise<void> {
    const { store, holder, log } = this.#options
    try {
      const ttlMs = Math.min(longestTtlMs, Math.max(shortestTtlMs, everyMs * 3))
      const term = await store.takeDuty({ name, holder, ttlMs })
      if (term === undefined) {
        this.#held.delete(name)
        return
      }
      if (!this.#held.has(name)) log.debug({ duty: name, term }, 'duty taken')
      this.#held.add(name)
      await run()
    } catch (error) {
      this.#held.delete(name)
      const { code, message } = toAppError(error)
      const level = code === 'DATABASE_UNAVAILABLE' || code === 'OBJECTS_UNAVAILABLE' ? 'warn' : 'error'
      log[level]({ duty: name, code, reason: message }, 'duty failed; the next turn tries again')
    }
  }
}
