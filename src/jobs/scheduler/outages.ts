import type { Clock } from '#lib/clock.ts'
import type { NodeRow } from '../model.ts'

/** What this needs of the store. */
interface LeaseStore {
  forgiveOutage(leaseMs: number): Promise<void>
  listNodes(): Promise<readonly Pick<NodeRow, 'state' | 'seenAtMs'>[]>
  nowMs(): Promise<number>
}

/**
 * The database gave no answer for this part of a lease: leases may have run out meanwhile, because the last heartbeat came before that, and the next one comes a
 * moment later. Several heartbeats and sweeps fit into it.
 */
const gapPart = 0.6

/**
 * Leases run out while the database, or every process that workers can reach, is away. Workers go on working through that; before anything is judged by
 * leases again, those that ran out meanwhile begin anew.
 */
export class Outages {
  readonly #store: LeaseStore
  readonly #leaseMs: number
  readonly #clock: Clock
  /** When the database answered last; undefined: not since this process started. */
  #answeredAtMs: number | undefined
  #forgiving: Promise<void> | undefined

  constructor({ store, leaseMs, clock }: { store: LeaseStore; leaseMs: number; clock: Clock }) {
    this.#store = store
    this.#leaseMs = leaseMs
    this.#clock = clock
  }

  /** Runs what depends on leases: a heartbeat, a claim, a sweep. Rejects with what the database throws. */
  async guard<T>(step: () => Promise<T>): Promise<T> {
    if (this.#isGap()) await (this.#forgiving ??= this.#forgive().finally(() => (this.#forgiving = undefined)))
    const result = await step()
    this.#answeredAtMs = this.#clock.monotonicMs()
    return result
  }

  #isGap(): boolean {
    return this.#answeredAtMs === undefined || this.#clock.monotonicMs() - this.#answeredAtMs > this.#leaseMs * gapPart
  }

  async #forgive(): Promise<void> {
    if (this.#answeredAtMs !== undefined || (await this.#isSilent())) await this.#store.forgiveOutage(this.#leaseMs)
    this.#answeredAtMs = this.#clock.monotonicMs()
  }

  /** After a start: when not one worker was heard for half a lease, it is because nobody was there to hear them. */
  async #isSilent(): Promise<boolean> {
    const seen = (await this.#store.listNodes()).filter(({ state }) => state !== 'lost').map(({ seenAtMs }) => seenAtMs)
    return seen.length > 0 && Math.max(...seen) < (await this.#store.nowMs()) - this.#leaseMs / 2
  }
}
