import { AppError, toAppError } from '#lib/errors.ts'
import type { Completion, CompletionVerdict, Effects, WorkerRef } from '../job-store.ts'

type Request = WorkerRef & Completion

/** What this needs of the store. */
interface CompletingStore {
  complete(requests: readonly Request[]): Promise<{ readonly verdicts: readonly CompletionVerdict[] } & Effects>
}

type Pending = {
  readonly request: Request
  readonly resolve: (verdict: CompletionVerdict) => void
  readonly reject: (error: unknown) => void
}

/** In one transaction; it is short even so. */
const maxBatch = 64
const maxPending = 5000

/**
 * Groups completions: while one transaction is under way, what comes is gathered for the next. A worker waits no longer than for two transactions, and a fleet
 * that finishes a hundred chunks at once needs a few.
 */
export class Completions {
  readonly #store: CompletingStore
  readonly #onEffects: (effects: Effects) => void
  #pending: Pending[] = []
  #isRunning = false

  constructor({ store, onEffects }: { store: CompletingStore; onEffects: (effects: Effects) => void }) {
    this.#store = store
    this.#onEffects = onEffects
  }

  /** Resolves when it is in the database, and rejects when that is away, or too many wait for it: then the worker repeats it. */
  async complete(request: Request): Promise<CompletionVerdict> {
    if (this.#pending.length >= maxPending) {
      throw new AppError('CLIENT_LIMIT', `${maxPending} completions wait for the database, the most allowed; repeat later`)
    }
    const { promise, resolve, reject } = Promise.withResolvers<CompletionVerdict>()
    this.#pending.push({ request, resolve, reject })
    if (!this.#isRunning) void this.#run()
    return await promise
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#pending.length > 0) await this.#send(this.#pending.splice(0, maxBatch))
    this.#isRunning = false
  }

  /** One that the database refuses must not take the others with it: then each goes alone. */
  async #send(batch: readonly Pending[]): Promise<void> {
    const answer = await this.#store.complete(batch.map(({ request }) => request)).catch((error: unknown) => toAppError(error))
    if (!(answer instanceof AppError)) {
      const { verdicts, ...effects } = answer
      batch.forEach(({ resolve }, at) => resolve(verdicts[at] ?? 'fenced'))
      this.#onEffects(effects)
    } else if (batch.length === 1 || answer.code === 'DATABASE_UNAVAILABLE') {
      for (const { reject } of batch) reject(answer)
    } else {
      for (const one of batch) await this.#send([one])
    }
  }
}
