import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import type { Clock } from '#lib/clock.ts'
import { type AppError, type ErrorCode, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { EventSink } from '../events.ts'
import { concurrently } from '../recorder/concurrently.ts'
import type { RecordingIndex, RecordingSegment } from '../recorder/recording-index.ts'
import type { RecordingPolicy } from '../settings.ts'
import type { SegmentArchive } from './segment-archive.ts'

export type ArchivePolicy = Pick<RecordingPolicy, 'archive' | 'archiveRetentionHours'>

export type ArchiverOptions = {
  readonly index: Pick<RecordingIndex, 'unarchived' | 'markArchived'>
  readonly archive: Pick<SegmentArchive, 'put' | 'remove'>
  /** Of all streams that somebody declares, as of now. */
  readonly policies: () => Iterable<readonly [stream: string, policy: ArchivePolicy]>
  readonly events: EventSink
  readonly clock: Clock
  readonly log: Logger
  /** After a failure of the store. */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number }
}

const uploadsAtOnce = 2
const segmentsPerQuery = 100
/** How often it looks by itself: a policy may have changed. */
const lookMs = 60_000
/** How long a shutdown waits for uploads that are broken off. */
const closeMs = 2_000
/** The longest wait of one file; others are tried before it. */
const maxFileWaitMs = 300_000
const maxFailedFiles = 1000
/** Not of the store: others may go through at once. */
const faultsOfFile: ReadonlySet<ErrorCode> = new Set(['RECORDING_NOT_FOUND', 'DISK_FAILED', 'TRUNCATED', 'OBJECT_KEY_INVALID'])

type FailedFile = { readonly backoff: Backoff; retryAtMs: number }
/** `stream`: whose file the store did not take; absent: the index does not answer. */
type Outage = { readonly sinceMs: number; readonly stream?: string }

/**
 * Copies closed segments of streams that want it to the archive, the oldest first. Looks when a segment is closed and now and then; what it
 * has to do is in the index alone, so that a restart loses nothing. An upload that was broken off is repeated from the start.
 *
 *   idle ──woken──► looking ──nothing waits──► idle
 *                    │  ▲  └─► two uploads at once
 *     store away ────▼  │
 *                   waiting (backoff)
 */
export class Archiver implements AsyncDisposable {
  readonly #options: ArchiverOptions
  readonly #wait: { readonly firstMs: number; readonly maxMs: number }
  readonly #backoff: Backoff
  readonly #closing = new AbortController()
  /** Files that could not be uploaded; the oldest failure first. */
  readonly #failed = new Map<string, FailedFile>()
  readonly #running: Promise<void>
  #outage: Outage | undefined
  #failures = 0
  #lookedAtMs = 0
  #isWoken = false
  #wake: () => void = () => {}

  constructor(options: ArchiverOptions) {
    this.#options = options
    this.#wait = options.backoff ?? { firstMs: 1000, maxMs: 60_000 }
    this.#backoff = new Backoff(this.#wait)
    this.#running = this.#run()
  }

  /** Uploads that failed since the start. */
  get failures(): number {
    return this.#failures
  }

  /** Something may wait: a segment was closed. */
  wake(): void {
    this.#isWoken = true
    this.#wake()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#wake()
    // A store that does not answer may hold an upload for longer; it changes nothing any more.
    const patience = new AbortController()
    await Promise.race([this.#running.finally(() => patience.abort()), sleep(closeMs, patience.signal)])
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      this.#isWoken = false
      try {
        await this.#archiveAll()
        await this.#idle()
      } catch (error) {
        if (this.#closing.signal.aborted) return
        this.#beginOutage(toAppError(error))
        await sleep(this.#backoff.nextMs(), signal)
      }
    }
  }

  /** Until nothing waits. Throws what the store or the index throws. */
  async #archiveAll(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const waiting = await this.#loadWaiting()
      if (this.#outage?.stream === undefined) this.#recovered()
      if (waiting.length === 0) return
      await concurrently(waiting, uploadsAtOnce, (segment) => this.#archive(segment))
    }
  }

  async #loadWaiting(): Promise<RecordingSegment[]> {
    const { index, clock } = this.#options
    const nowMs = (this.#lookedAtMs = clock.monotonicMs())
    const limit = segmentsPerQuery + this.#failed.size
    const attempts = ({ id }: RecordingSegment): number => this.#failed.get(id)?.backoff.attempts ?? 0
    const waiting: RecordingSegment[] = []
    for (const [hours, streams] of this.#streamsByRetention()) {
      // What is too old for the archive does not go there.
      const young = hours > 0 ? { endedAfterMs: clock.nowMs() - hours * 3_600_000 } : {}
      waiting.push(...(await index.unarchived({ streams, ...young, limit })))
    }
    return waiting
      .filter(({ id }) => (this.#failed.get(id)?.retryAtMs ?? 0) <= nowMs)
      .toSorted((a, b) => attempts(a) - attempts(b) || a.startedAtMs - b.startedAtMs)
      .slice(0, segmentsPerQuery)
  }

  #streamsByRetention(): Map<number, string[]> {
    const streams = new Map<number, string[]>()
    for (const [stream, { archive, archiveRetentionHours: hours }] of this.#options.policies()) {
      if (!archive) continue
      const same = streams.get(hours)
      if (same) same.push(stream)
      else streams.set(hours, [stream])
    }
    return streams
  }

  async #archive(segment: RecordingSegment): Promise<void> {
    const { index, archive, clock, events } = this.#options
    const { signal } = this.#closing
    const { id: segmentId, stream, sizeBytes } = segment
    signal.throwIfAborted()
    try {
      await archive.put(segment, signal)
    } catch (error) {
      if (!signal.aborted) this.#putOff(segment, toAppError(error))
      return
    }
    this.#failed.delete(segmentId)
    this.#recovered()
    signal.throwIfAborted()
    if (await index.markArchived(segmentId, clock.nowMs())) {
      events.emit({ type: 'recording.archived', stream, segmentId, sizeBytes })
    } else await archive.remove(segment.path)
  }

  /** Throws the error again when it is of the store. */
  #putOff({ id, path, stream }: RecordingSegment, error: AppError): void {
    const file = this.#failed.get(id) ?? this.#newFailure()
    const isNew = file.backoff.attempts === 0
    file.retryAtMs = this.#options.clock.monotonicMs() + file.backoff.nextMs()
    this.#failed.delete(id)
    this.#failed.set(id, file)
    for (const [oldest] of this.#failed) if (this.#failed.size > maxFailedFiles) this.#failed.delete(oldest)
    this.#failures += 1
    const { code, message } = error
    if (!faultsOfFile.has(code)) {
      this.#beginOutage(error, stream)
      throw error
    }
    if (isNew) this.#options.log.error({ path, code, reason: message }, 'recorded file cannot be archived; it is tried again')
  }

  #newFailure(): FailedFile {
    const { firstMs } = this.#wait
    return { backoff: new Backoff({ firstMs: 4 * firstMs, maxMs: Math.max(maxFileWaitMs, firstMs) }), retryAtMs: 0 }
  }

  #beginOutage({ code, message }: AppError, stream?: string): void {
    if (this.#outage) return
    const { clock, events, log } = this.#options
    this.#outage = { sinceMs: clock.monotonicMs(), ...(stream === undefined ? {} : { stream }) }
    if (stream !== undefined) events.emit({ type: 'recording.archive-failed', stream, code, message })
    log.warn({ stream, code, reason: message }, 'recordings cannot be archived; they wait on the disk')
  }

  #recovered(): void {
    this.#backoff.reset()
    if (!this.#outage) return
    const { clock, events, log } = this.#options
    const { sinceMs, stream } = this.#outage
    this.#outage = undefined
    const failedMs = Math.round(clock.monotonicMs() - sinceMs)
    if (stream !== undefined) events.emit({ type: 'recording.archive-recovered', stream, failedMs })
    log.info({ failedMs }, 'recordings are archived again')
  }

  async #idle(): Promise<void> {
    if (this.#isWoken || this.#closing.signal.aborted) return
    const nowMs = this.#options.clock.monotonicMs()
    // What was due at the last look and was not tried has been deleted.
    const due = [...this.#failed.values()].filter(({ retryAtMs }) => retryAtMs > this.#lookedAtMs)
    const retries = due.map(({ retryAtMs }) => retryAtMs - nowMs)
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await sleep(Math.max(this.#wait.firstMs, Math.min(lookMs, ...retries)), woken.signal)
  }
}
