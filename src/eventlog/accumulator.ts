import type { Clock } from '#lib/clock.ts'
import type { Timers } from '#lib/timers.ts'
import type { LogSpan } from './log-span.ts'
import type { Partition } from './partition.ts'

/** Spans for one object, of many partitions, each in order of offsets. */
export type Gathered = { readonly runs: ReadonlyMap<Partition, LogSpan[]>; readonly sizeBytes: number }

type Limits = { readonly objectBytes: number; readonly objectMilliseconds: number; readonly objectAckMilliseconds: number }

/** An object of more spans would take its index, and their commit, longer than producers should wait. */
const maxSpans = 32_768

/** Gathers spans until they are worth an object: enough bytes or spans, enough time, or less time when somebody waits for the object store. */
export class Accumulator {
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #onClosed: (gathered: Gathered) => void
  #runs = new Map<Partition, LogSpan[]>()
  #sizeBytes = 0
  #spanCount = 0
  #due: { readonly atMs: number; readonly delayMs: number; readonly timer: Disposable } | undefined

  constructor(options: { limits: Limits; clock: Clock; timers: Timers; onClosed: (gathered: Gathered) => void }) {
    this.#limits = options.limits
    this.#clock = options.clock
    this.#timers = options.timers
    this.#onClosed = options.onClosed
  }

  /** `isAwaited`: somebody waits until the span is in the object store. */
  add(partition: Partition, span: LogSpan, { isAwaited }: { isAwaited: boolean }): void {
    const run = this.#runs.get(partition)
    if (run) run.push(span)
    else this.#runs.set(partition, [span])
    this.#sizeBytes += span.sizeBytes
    this.#spanCount += 1
    if (this.#sizeBytes >= this.#limits.objectBytes || this.#spanCount >= maxSpans) this.close()
    else this.closeWithin(isAwaited ? this.#limits.objectAckMilliseconds : this.#limits.objectMilliseconds)
  }

  /** Closes what is gathered no later than in `delayMs`. */
  closeWithin(delayMs: number): void {
    if (this.#runs.size === 0) return
    // Asked for earlier, and no later: the usual case costs nothing.
    if (this.#due && this.#due.delayMs <= delayMs) return
    const atMs = this.#clock.monotonicMs() + delayMs
    if (this.#due && this.#due.atMs <= atMs) return
    this.#due?.timer[Symbol.dispose]()
    this.#due = { atMs, delayMs, timer: this.#timers.after(delayMs, () => this.close()) }
  }

  /** Closes what is gathered now. */
  close(): void {
    this.#due?.timer[Symbol.dispose]()
    this.#due = undefined
    if (this.#runs.size === 0) return
    const gathered = { runs: this.#runs, sizeBytes: this.#sizeBytes }
    this.#runs = new Map()
    this.#sizeBytes = 0
    this.#spanCount = 0
    this.#onClosed(gathered)
  }

  /** The spans of what is not closed yet. */
  *pending(): Generator<LogSpan, void, undefined> {
    for (const run of this.#runs.values()) yield* run
  }
}
