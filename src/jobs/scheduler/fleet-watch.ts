import type { Timers } from '#lib/timers.ts'
import type { JobCounts, JobStore } from '../job-store.ts'
import { isTerminal, jobStates, type NodeState } from '../model.ts'
import type { WaitingClaims } from './waiting-claims.ts'

type Deps = {
  readonly store: Pick<JobStore, 'counts'>
  readonly timers: Timers
  readonly waiting: WaitingClaims
}

/** How old figures may be, and how soon work is found that nobody hinted at: a task whose wait is over, or one whose hint was lost. */
const everyMs = 1_000
/** So many that wait ask for such work at once: where it is for none of them, they must not all ask each second. */
const asksPerTurn = 32

/** Figures of the fleet, looked up each second, and with them those who wait told of work that they were not hinted at. */
export class FleetWatch implements AsyncDisposable {
  readonly #deps: Deps
  #counts: JobCounts | undefined
  #timer: Disposable | undefined
  #running: Promise<void> | undefined
  #isClosed = false

  constructor(deps: Deps) {
    this.#deps = deps
  }

  start(): void {
    this.#running = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#timer?.[Symbol.dispose]()
    await this.#running
  }

  /** Undefined while the database has not answered. */
  get counts(): JobCounts | undefined {
    return this.#counts
  }

  /** Jobs that are not over; 0 before the first look. */
  get openJobs(): number {
    const { jobs } = this.#counts ?? {}
    if (jobs === undefined) return 0
    return jobStates.reduce((sum, state) => sum + (isTerminal(state) ? 0 : jobs[state]), 0)
  }

  get nodesByState(): Readonly<Record<NodeState, number>> {
    const { active, draining, lost } = this.#counts?.nodes ?? {}
    return { active: active?.count ?? 0, draining: draining?.count ?? 0, lost: lost?.count ?? 0 }
  }

  /** Slots of the workers that are there, and those in use. */
  get slots(): { readonly total: number; readonly used: number } {
    const { active, draining } = this.#counts?.nodes ?? {}
    return {
      total: (active?.slots ?? 0) + (draining?.slots ?? 0),
      used: (active?.usedSlots ?? 0) + (draining?.usedSlots ?? 0),
    }
  }

  /** Workers that wait at this node. */
  get waitingWorkers(): number {
    return this.#deps.waiting.waiting
  }

  async #run(): Promise<void> {
    const { store, timers, waiting } = this.#deps
    try {
      this.#counts = await store.counts()
      const ready = Object.values(this.#counts.readyTasks).reduce((sum, count) => sum + count, 0)
      waiting.hint(ready, { maxAsks: asksPerTurn })
    } catch {
      // What waits for the database is told so by its own request.
    }
    if (this.#isClosed) return
    this.#timer = timers.after(everyMs, () => {
      this.#running = this.#run()
    })
  }
}
