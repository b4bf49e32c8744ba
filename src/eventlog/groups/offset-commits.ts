import { AppError } from '#lib/errors.ts'
import type { LogMetadata, OffsetRow } from '../metadata/log-metadata.ts'

/** One transaction takes whole commits up to this many rows, or one that is larger. */
const maxRowsPerTransaction = 5_000
/** Rows that may wait while the database is slow; beyond, commits are refused. */
const maxWaitingRows = 200_000

type Commit = { readonly rows: readonly OffsetRow[]; readonly done: PromiseWithResolvers<void> }

/**
 * Brings offset commits into the database. The first goes at once; those that come while it is on its way share the next transaction, in the order in
 * which they came. Nothing waits for a timer.
 */
export class OffsetCommits {
  readonly #metadata: Pick<LogMetadata, 'commitOffsets'>
  readonly #onCommitted: (rows: readonly OffsetRow[]) => void
  #storing: readonly Commit[] = []
  #waiting: Commit[] = []
  #waitingRows = 0
  #isRunning = false

  /** `onCommitted` is called after each transaction, before those who wait for it go on. */
  constructor({
    metadata,
    onCommitted,
  }: {
    metadata: Pick<LogMetadata, 'commitOffsets'>
    onCommitted: (rows: readonly OffsetRow[]) => void
  }) {
    this.#metadata = metadata
    this.#onCommitted = onCommitted
  }

  /** Resolves when the rows are stored. Throws `LOG_UNAVAILABLE` when too much waits already, and whatever the database refuses with. */
  async commit(rows: readonly OffsetRow[]): Promise<void> {
    if (this.#waitingRows >= maxWaitingRows) {
      const message = `${this.#waitingRows} offsets wait for the database, which does not keep up; commit again later`
      throw new AppError('LOG_UNAVAILABLE', message)
    }
    const commit = { rows, done: Promise.withResolvers<void>() }
    this.#waiting.push(commit)
    this.#waitingRows += rows.length
    if (!this.#isRunning) void this.#run()
    await commit.done.promise
  }

  /** Resolves when all that is on its way now has arrived or failed. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#storing, ...this.#waiting].map(({ done }) => done.promise))
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      this.#storing = this.#take()
      await this.#store(this.#storing)
    }
    this.#storing = []
    this.#isRunning = false
  }

  async #store(commits: readonly Commit[]): Promise<void> {
    const rows = commits.flatMap((commit) => commit.rows)
    try {
      await this.#metadata.commitOffsets(rows)
      this.#onCommitted(rows)
      for (const { done } of commits) done.resolve()
    } catch (error) {
      for (const { done } of commits) done.reject(error)
    }
  }

  #take(): Commit[] {
    let count = 0
    let rows = 0
    for (const commit of this.#waiting) {
      if (count > 0 && rows + commit.rows.length > maxRowsPerTransaction) break
      count += 1
      rows += commit.rows.length
    }
    this.#waitingRows -= rows
    return this.#waiting.splice(0, count)
  }
}
