import { Backoff } from '#lib/backoff.ts'
import type { Clock } from '#lib/clock.ts'
import { toAppError, type AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { LogMetadata } from './metadata/log-metadata.ts'
import { eachOf } from './objects/each-of.ts'
import { Repeating } from './repeating.ts'

/** Objects that are given up, or deleted, at once. */
const objectsPerStep = 200
const deletesAtOnce = 8
/** As many deletes that fail before one has worked mean that the store is away. */
const maxFailures = 24
/** Steps in one round; what is left waits for the next. */
const stepsPerRound = 50
const firstRetryMs = 1000
/** The next round comes this soon when one has left something. */
const busyIntervalMs = 1000

export type CollectorOptions = {
  readonly metadata: Pick<LogMetadata, 'abandonObjects' | 'findDeletable' | 'forgetObjects'>
  readonly objects: Pick<ObjectStore, 'delete'>
  readonly clock: Clock
  readonly timers: Timers
  readonly random: () => number
  readonly log: Logger
  readonly intervalMs: number
  /** An object that was not committed this long after its id was reserved never will be; no upload may take longer. */
  readonly abandonAfterMs?: number
  /** What nobody needs any more stays this long, for those who still read it. */
  readonly graceMs?: number
}

export type CollectorRound = {
  readonly abandoned: number
  readonly deleted: number
  readonly hasMore: boolean
  /** Why some objects could not be deleted; the next round tries them again. */
  readonly failure?: AppError
}

/**
 * Deletes objects that nothing refers to. Those that were reserved and never committed are given up in the database first, so that no commit can take them any more;
 * only what was given up or emptied some time ago is deleted from the store, and forgotten when it is gone there (invariants I12, I14). No listing of the bucket is
 * needed. Any number of agents may do this at once.
 */
export class Collector implements AsyncDisposable {
  readonly #options: Required<CollectorOptions>
  readonly #backoff: Backoff
  readonly #repeating: Repeating

  constructor(options: CollectorOptions) {
    this.#options = { abandonAfterMs: 24 * 60 * 60_000, graceMs: 10 * 60_000, ...options }
    const { timers, random, intervalMs } = options
    this.#backoff = new Backoff({ firstMs: Math.min(firstRetryMs, intervalMs), maxMs: intervalMs, random })
    this.#repeating = new Repeating({ timers, firstDelayMs: intervalMs, work: (signal) => this.#work(signal) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#repeating[Symbol.asyncDispose]()
  }

  /** Gives up and deletes what is due. Throws what the database throws; what was done until then stays done. */
  async runOnce(signal?: AbortSignal): Promise<CollectorRound> {
    const round = { abandoned: 0, deleted: 0 }
    for (let step = 0; step < stepsPerRound && !signal?.aborted; step++) {
      const abandoned = await this.#abandonSome()
      const { found, deleted, failure } = await this.#deleteSome()
      round.abandoned += abandoned
      round.deleted += deleted
      if (failure) return { ...round, hasMore: true, failure }
      if (abandoned < objectsPerStep && found < objectsPerStep) return { ...round, hasMore: false }
    }
    return { ...round, hasMore: true }
  }

  async #work(signal: AbortSignal): Promise<number> {
    const { log, intervalMs } = this.#options
    try {
      const { failure, hasMore, ...counts } = await this.runOnce(signal)
      if (counts.abandoned + counts.deleted > 0) log.info(counts, 'objects collected')
      if (failure) return this.#retryMs(failure)
      this.#backoff.reset()
      return hasMore ? Math.min(busyIntervalMs, intervalMs) : intervalMs
    } catch (thrown) {
      return this.#retryMs(toAppError(thrown))
    }
  }

  #retryMs(error: AppError): number {
    this.#options.log.warn({ code: error.code, err: error }, 'objects could not be collected; trying again')
    return this.#backoff.nextMs()
  }

  async #abandonSome(): Promise<number> {
    const { metadata, clock, abandonAfterMs } = this.#options
    const nowMs = clock.nowMs()
    return await metadata.abandonObjects({ reservedBeforeMs: nowMs - abandonAfterMs, nowMs, limit: objectsPerStep })
  }

  /** One object that cannot be deleted does not keep the others. */
  async #deleteSome(): Promise<{ found: number; deleted: number; failure?: AppError }> {
    const { metadata, objects, clock, graceMs } = this.#options
    const deletingBeforeMs = clock.nowMs() - graceMs
    const found = await metadata.findDeletable({ deletingBeforeMs, limit: objectsPerStep })
    const gone: string[] = []
    let failure: AppError | undefined
    let failures = 0
    await eachOf(found, deletesAtOnce, async ({ id, key }) => {
      if (failures >= maxFailures && gone.length === 0) return
      try {
        await objects.delete(key)
        gone.push(id)
      } catch (thrown) {
        failures += 1
        failure ??= toAppError(thrown)
      }
    })
    if (gone.length > 0) await metadata.forgetObjects(gone)
    return { found: found.length, deleted: gone.length, ...(failure ? { failure } : {}) }
  }
}
