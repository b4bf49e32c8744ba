type Pending<Key, Value> = {
  readonly key: Key
  readonly resolve: (value: Value) => void
  readonly reject: (error: unknown) => void
}

/** In one read. */
const maxBatch = 256

/**
 * Reads of one thing each by one query for many: what is asked while a query is under way is gathered for the next, so that a crowd takes one connection and not all
 * of them. Every answer is of a query that began after it was asked for. Whoever asks waits for an answer himself, which bounds how many wait.
 */
export class GatheredReads<Key, Value> {
  readonly #load: (keys: readonly Key[]) => Promise<readonly Value[]>
  readonly #pending: Pending<Key, Value>[] = []
  #isRunning = false

  /** `load` gives a value for each key, in their order. */
  constructor(load: (keys: readonly Key[]) => Promise<readonly Value[]>) {
    this.#load = load
  }

  /** Rejects with what `load` throws. */
  async get(key: Key): Promise<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>()
    this.#pending.push({ key, resolve, reject })
    if (!this.#isRunning) void this.#run()
    return await promise
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#pending.length > 0) await this.#read(this.#pending.splice(0, maxBatch))
    this.#isRunning = false
  }

  async #read(batch: readonly Pending<Key, Value>[]): Promise<void> {
    try {
      const values = await this.#load(batch.map(({ key }) => key))
      values.forEach((value, at) => batch[at]?.resolve(value))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}
