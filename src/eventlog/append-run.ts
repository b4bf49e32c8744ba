import type { Clock } from '#lib/clock.ts'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import type { AckDeadlines, LimitedWait } from './ack-deadlines.ts'
import { hasReachedAck, type AckWait, type LogSpan } from './log-span.ts'
import type { Partition } from './partition.ts'
import type { AckLevel } from './topic-config.ts'

/** Where a batch went, and what it has survived when this is told. `appendTimeMs` is -1 where producers set the time. */
export type Appended = {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly appendTimeMs: number
  readonly logStartOffset: number
  readonly ack: AckLevel
  readonly isDuplicate: boolean
}

/** Hears once what became of the batches, one result for each, in order. */
export type AppendSink = (results: readonly (Appended | AppError)[]) => void

/** Hears of batches: how long acknowledgements took, or why one was refused. */
export interface LogObserver {
  acknowledged(ack: AckLevel, seconds: number, batches: number): void
  refused(code: ErrorCode): void
}

/** A batch that has its place. `span` is absent for a repeated one that is long committed. */
export type Begun = Pick<Appended, 'baseOffset' | 'lastOffset' | 'appendTimeMs' | 'isDuplicate'> & {
  readonly span: LogSpan | undefined
}

type Deps = {
  readonly deadlines: AckDeadlines
  readonly clock: Clock
  readonly observer: LogObserver | undefined
}

type Options = { readonly partition: Partition; readonly ack: AckLevel; readonly timeoutMs: number; readonly sink: AppendSink }

/**
 * Batches that were appended to one partition together, until all of them are as durable as asked for. A partition's batches become durable in order, so that it
 * is enough to wait for the last of them.
 */
export class AppendRun implements AckWait, LimitedWait {
  readonly ack: AckLevel
  /** 0: no limit. */
  readonly timeoutMs: number
  next: AckWait | undefined
  dueMs = 0
  place = -1
  readonly #deps: Deps
  readonly #partition: Partition
  readonly #sink: AppendSink
  readonly #startedAtMs: number
  readonly #begun: (Begun | AppError)[] = []
  #last: LogSpan | undefined
  #isOver = false

  constructor(deps: Deps, { partition, ack, timeoutMs, sink }: Options) {
    this.ack = ack
    this.timeoutMs = timeoutMs
    this.#deps = deps
    this.#partition = partition
    this.#sink = sink
    this.#startedAtMs = deps.clock.monotonicMs()
  }

  add(begun: Begun): void {
    this.#begun.push(begun)
    const { span } = begun
    if (span && (!this.#last || span.baseOffset > this.#last.baseOffset)) this.#last = span
  }

  refuse(error: AppError): void {
    this.#begun.push(error)
  }

  /** All are added: tells the sink when they are durable, perhaps at once. */
  wait(): void {
    if (!this.#last) return this.reached()
    this.#last.wait(this)
    if (!this.#isOver && this.timeoutMs > 0) this.#deps.deadlines.add(this, this.#startedAtMs)
  }

  reached(): void {
    this.#tell(undefined)
  }

  /** What had become durable before the error stays so. */
  ended(error: AppError): void {
    this.#tell(error)
  }

  #tell(error: AppError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    const { deadlines, observer, clock } = this.#deps
    deadlines.remove(this)
    let count = 0
    const results = this.#begun.map((begun) => {
      const result = error ? this.#resultOf(begun, error) : this.#appended(begun)
      if (result instanceof AppError) observer?.refused(result.code)
      else count += 1
      return result
    })
    if (count > 0) observer?.acknowledged(this.ack, (clock.monotonicMs() - this.#startedAtMs) / 1000, count)
    this.#sink(results)
  }

  #resultOf(begun: Begun | AppError, error: AppError): Appended | AppError {
    if (begun instanceof AppError || !begun.span || hasReachedAck(begun.span, this.ack)) return this.#appended(begun)
    return begun.span.failure ?? error
  }

  #appended(begun: Begun | AppError): Appended | AppError {
    if (begun instanceof AppError) return begun
    const { baseOffset, lastOffset, appendTimeMs, isDuplicate } = begun
    return { baseOffset, lastOffset, appendTimeMs, logStartOffset: this.#partition.logStart, ack: this.ack, isDuplicate }
  }
}
