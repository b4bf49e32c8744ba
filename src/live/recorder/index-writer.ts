import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { RecordingIndex, RecordingSegment } from './recording-index.ts'

/** Rows that wait for the database; beyond this the oldest are let go, and healing finds their files at the next start. */
const maxPendingRows = 20_000
const rowsPerWrite = 200
/** Rows gather this long: each write costs a sync of the database, 1 to 10 ms on a busy disk during which SQLite holds the event loop. */
const gatherMs = 250
/** How often a database may refuse while the writer is closed. */
const closeAttempts = 5

/**
 * Brings the recorders' rows into the index without making them wait. Of several states of one segment only the last is written. While
 * the database is away rows are kept and tried again, with backoff.
 */
export class IndexWriter implements AsyncDisposable {
  readonly #index: Pick<RecordingIndex, 'save' | 'remove'>
  readonly #log: Logger
  readonly #onClosed: (() => void) | undefined
  readonly #backoff: Backoff
  readonly #closing = new AbortController()
  /** By id; undefined: the row goes. */
  #pending = new Map<string, RecordingSegment | undefined>()
  #running: Promise<void> | undefined

  constructor({ index, log, onClosed, backoff = new Backoff({ firstMs: 500, maxMs: 30_000 }) }: IndexWriterOptions) {
    this.#index = index
    this.#onClosed = onClosed
    this.#log = log
    this.#backoff = backoff
  }

  get pendingRows(): number {
    return this.#pending.size
  }

  save(segment: RecordingSegment): void {
    this.#put(segment.id, segment)
  }

  remove(id: string): void {
    this.#put(id, undefined)
  }

  /** Waits until all is written; gives up after a few tries, and says how many rows healing will have to find. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#running
    for (let failures = 0; this.#pending.size > 0 && failures < closeAttempts;) {
      if (await this.#writeOnce()) continue
      failures += 1
      await sleep(this.#backoff.nextMs() / 10)
    }
    if (this.#pending.size > 0)
      this.#log.error({ rows: this.#pending.size }, 'recording index not written; the next start heals it')
  }

  #put(id: string, segment: RecordingSegment | undefined): void {
    this.#pending.delete(id)
    this.#pending.set(id, segment)
    if (this.#pending.size > maxPendingRows) this.#letGoOldest()
    if (!this.#closing.signal.aborted) this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    await sleep(gatherMs, this.#closing.signal)
    while (this.#pending.size > 0 && !this.#closing.signal.aborted) {
      if (!(await this.#writeOnce())) await sleep(this.#backoff.nextMs(), this.#closing.signal)
    }
    this.#running = undefined
  }

  /** Writes the oldest rows; false when the database refused and they are kept. */
  async #writeOnce(): Promise<boolean> {
    const batch = [...this.#pending].slice(0, rowsPerWrite)
    const saved = batch.flatMap(([, segment]) => (segment ? [segment] : []))
    const removed = batch.flatMap(([id, segment]) => (segment ? [] : [id]))
    try {
      if (saved.length > 0) await this.#index.save(saved)
      if (removed.length > 0) await this.#index.remove(removed)
    } catch (error) {
      const { code, message } = toAppError(error)
      this.#log.warn({ code, reason: message, rows: this.#pending.size }, 'recording index cannot be written; trying again')
      return false
    }
    // A row that changed meanwhile stays for the next write.
    for (const [id, segment] of batch) if (this.#pending.get(id) === segment) this.#pending.delete(id)
    this.#backoff.reset()
    if (saved.some(({ state }) => state === 'closed')) this.#onClosed?.()
    return true
  }

  #letGoOldest(): void {
    const [oldest] = this.#pending.keys()
    if (oldest === undefined) return
    this.#pending.delete(oldest)
    this.#log.error({ segmentId: oldest }, 'too many rows wait for the recording index; the next start heals this one')
  }
}

export type IndexWriterOptions = {
  readonly index: Pick<RecordingIndex, 'save' | 'remove'>
  readonly log: Logger
  /** Closed segments are in the index that were not before. */
  readonly onClosed?: () => void
  readonly backoff?: Backoff
}
