import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'

/** A change on another node is seen within this time. */
const freshMs = 5_000
/**
 * How long keys go on working that were read before the database went away: long enough for it to fail over or start again, and as long as a
 * node that is cut off may let in a key that was revoked elsewhere meanwhile.
 */
const staleMs = 10 * 60_000
/** Warnings about the database. */
const warnMs = 60_000

type Entry<Key> = { readonly key: Key; readonly readAtMs: number }

type Options<Key> = {
  readonly load: (id: string) => Promise<Key | undefined>
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn'>
  readonly maxKeys: number
}

/**
 * Keys as the database had them a moment ago, the least recently used one goes first. What does not exist is not remembered: made-up ids
 * would push out real ones, and a key that another node has just made is to work at once.
 */
export class KeyCache<Key> {
  readonly #options: Options<Key>
  readonly #entries = new Map<string, Entry<Key>>()
  readonly #loading = new Map<string, Promise<Key | undefined>>()
  #failedAtMs = -Infinity
  #warnedAtMs = -Infinity

  constructor(options: Options<Key>) {
    this.#options = options
  }

  /** While the database is away, what it last said. Throws what `load` throws for a key that was not read before, or too long ago. */
  async find(id: string): Promise<Key | undefined> {
    const { clock } = this.#options
    const known = this.#entries.get(id)
    const ageMs = known ? clock.monotonicMs() - known.readAtMs : Infinity
    if (known && ageMs < freshMs) return this.#keep(id, known)
    const isUsable = ageMs < staleMs
    // Each look at a database that hangs would take as long as it may; one in a while suffices.
    if (known && isUsable && clock.monotonicMs() - this.#failedAtMs < freshMs) return this.#keep(id, known)
    try {
      return await this.#load(id)
    } catch (error) {
      if (!known || !isUsable) throw error
      this.#warn(error)
      return this.#keep(id, known)
    }
  }

  /** It was changed here. */
  forget(id: string): void {
    this.#entries.delete(id)
    this.#loading.delete(id)
  }

  /** Requests that ask for the same key at the same time ask the database once. */
  async #load(id: string): Promise<Key | undefined> {
    const under = this.#loading.get(id)
    if (under) return await under
    const loading = this.#read(id)
    this.#loading.set(id, loading)
    try {
      return await loading
    } finally {
      if (this.#loading.get(id) === loading) this.#loading.delete(id)
    }
  }

  async #read(id: string): Promise<Key | undefined> {
    const { load, clock } = this.#options
    const readAtMs = clock.monotonicMs()
    try {
      const key = await load(id)
      this.#entries.delete(id)
      return key && this.#keep(id, { key, readAtMs })
    } catch (error) {
      this.#failedAtMs = clock.monotonicMs()
      throw error
    }
  }

  #keep(id: string, entry: Entry<Key>): Key {
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > this.#options.maxKeys && oldest !== undefined) this.#entries.delete(oldest)
    return entry.key
  }

  #warn(error: unknown): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#warnedAtMs < warnMs) return
    this.#warnedAtMs = nowMs
    this.#options.log.warn({ err: error }, 'the database is away; API keys are checked by what it said before')
  }
}
