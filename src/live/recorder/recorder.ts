import { Backoff } from '#lib/backoff.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import type { EventSink } from '../events.ts'
import type { InitSegment, PackagerListener, Part, Segment } from '../packager/cmaf.ts'
import type { RecordingsSettings } from '../settings.ts'
import type { RecordingState } from '../status.ts'
import { type SegmentIdentity, writeIdentityBox } from './identity-box.ts'
import { nodeDisk, type RecordingDisk } from './recording-disk.ts'
import type { RecordingSegment } from './recording-index.ts'
import { SegmentFile, type Written } from './segment-file.ts'
import { absolutePath, segmentPath } from './segment-path.ts'

/** Where the recorder's rows go; must not wait nor throw. `IndexWriter` is one. */
interface SegmentRows {
  save(segment: RecordingSegment): void
  remove(id: string): void
}

export type RecorderOptions = {
  readonly stream: string
  readonly segmentSeconds: number
  readonly settings: Pick<RecordingsSettings, 'flushMilliseconds' | 'sync'> & { readonly directory: string }
  readonly rows: SegmentRows
  readonly events: EventSink
  readonly clock: Clock
  readonly log: Logger
  readonly disk?: RecordingDisk
  readonly maxQueuedBytes?: number
  readonly backoff?: Backoff
}

/** 30 s of 4 Mbit/s. */
const defaultMaxQueuedBytes = 16 * 2 ** 20
/** The row of an open file is brought up to date this often, for timeline and retention. */
const rowUpdateMs = 10_000

type OpenFile = {
  readonly file: SegmentFile
  readonly init: InitSegment
  readonly segment: RecordingSegment
  readonly startMs: number
  endMs: number
  rowAtMs: number
}

type State =
  | { readonly kind: 'off' }
  | { readonly kind: 'waiting'; readonly isResumed: boolean }
  | { readonly kind: 'recording'; readonly current: OpenFile }
  | { readonly kind: 'paused' }
  | Failed

type Failed = {
  readonly kind: 'failed'
  readonly error: AppError
  readonly sinceMs: number
  readonly retryAtMs: number
  droppedParts: number
}

/**
 * Records one stream: takes the packager's parts and appends them to files, never making the stream wait.
 *
 *   off ──start──► waiting ──keyframe──► recording ──pause──► paused ──resume──► waiting
 *                     ▲                   │  ▲  │
 *                     └──packager ended───┘  │  └─disk full, slow, broken─► failed ──keyframe after the wait──► recording
 *   any ──stop──► off
 *
 * Every file is without a hole: whatever interrupts closes it, and the next one begins with a keyframe. A file that continues the one
 * before it begins with the very part that the other did not take.
 */
export class Recorder implements PackagerListener, AsyncDisposable {
  readonly #options: RecorderOptions
  readonly #disk: RecordingDisk
  readonly #maxQueuedBytes: number
  readonly #backoff: Backoff
  readonly #sessionId: string
  /** Files that are being written, the current one and those that are being closed. */
  readonly #files = new Set<SegmentFile>()
  #segmentSeconds: number
  #state: State = { kind: 'off' }
  #isDiskFull = false
  /** The next file does not continue the last. */
  #isBroken = false
  #droppedParts = 0
  #flushTimer: NodeJS.Timeout | undefined

  constructor(options: RecorderOptions) {
    this.#options = options
    this.#disk = options.disk ?? nodeDisk
    this.#maxQueuedBytes = options.maxQueuedBytes ?? defaultMaxQueuedBytes
    this.#backoff = options.backoff ?? new Backoff({ firstMs: 1000, maxMs: 30_000 })
    this.#segmentSeconds = options.segmentSeconds
    this.#sessionId = newId(options.clock.nowMs())
  }

  get status(): { state: RecordingState; error?: string } {
    const { kind } = this.#state
    return this.#state.kind === 'failed'
      ? { state: kind, error: `${this.#state.error.code}: ${this.#state.error.message}` }
      : { state: kind }
  }
  /** Parts that were not recorded because the disk did not take them, since the recorder was made. */
  get droppedParts(): number {
    return this.#droppedParts
  }
  /** Bytes that are not on the disk yet; bounded. */
  get unwrittenBytes(): number {
    let sum = 0
    for (const file of this.#files) sum += file.unwrittenBytes
    return sum
  }
  /** Takes effect at the next keyframe. */
  set segmentSeconds(seconds: number) {
    this.#segmentSeconds = seconds
  }

  /** Records from the next keyframe on. Leaves a pause alone. */
  start(): void {
    if (this.#state.kind === 'off') this.#to({ kind: 'waiting', isResumed: false })
  }

  /** Ends the file; nothing is recorded until `start`. */
  stop(reason: string): void {
    const { kind } = this.#state
    if (kind === 'off') return
    this.#finishCurrent()
    this.#to({ kind: 'off' })
    if (kind !== 'waiting') this.#options.events.emit({ type: 'recording.stopped', stream: this.#options.stream, reason })
  }

  /** Ends the file behind the last part; nothing is recorded until `resume`. The stream goes on. */
  pause(): void {
    if (this.#state.kind === 'off' || this.#state.kind === 'paused') return
    this.#finishCurrent()
    this.#isBroken = true
    this.#to({ kind: 'paused' })
    this.#options.events.emit({ type: 'recording.paused', stream: this.#options.stream })
  }

  /** Records again from the next keyframe on. */
  resume(): void {
    if (this.#state.kind !== 'paused') return
    this.#to({ kind: 'waiting', isResumed: true })
    this.#options.events.emit({ type: 'recording.resumed', stream: this.#options.stream })
  }

  /** Told by retention: the disk is at its floor and nothing can be deleted, or there is room again. */
  setDiskFull(isDiskFull: boolean): void {
    if (this.#isDiskFull === isDiskFull) return
    this.#isDiskFull = isDiskFull
    if (isDiskFull && (this.#state.kind === 'recording' || this.#state.kind === 'waiting')) this.#failFull()
  }

  segmentStarted(): void {}

  partAdded(part: Part, segment: Segment): void {
    switch (this.#state.kind) {
      case 'off':
      case 'paused':
        return
      case 'waiting':
        if (this.#isDiskFull) this.#failFull()
        else if (part.isIndependent) this.#begin(part)
        return
      case 'recording':
        return this.#continue(this.#state.current, part, segment)
      case 'failed':
        return this.#retry(this.#state, part)
      default:
        return this.#state satisfies never
    }
  }

  segmentEnded(): void {
    this.#flush()
  }

  /** The packager is gone: the file ends. Recording goes on with the first keyframe of the next one. */
  ended(): void {
    this.#isBroken = true
    if (this.#state.kind !== 'recording') return
    this.#finishCurrent()
    this.#to({ kind: 'waiting', isResumed: false })
    this.#options.events.emit({ type: 'recording.stopped', stream: this.#options.stream, reason: 'the stream ended' })
  }

  /** Stops, and waits until all is on the disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop('closed')
    await Promise.all([...this.#files].map(({ done }) => done))
  }

  #continue(current: OpenFile, part: Part, segment: Segment): void {
    const isNewSegment = part.isIndependent && part.index === 0
    // Half a millisecond: durations are sums of rounded ticks.
    const isLongEnough = current.endMs - current.startMs + 0.5 >= this.#segmentSeconds * 1000
    if (part.init !== current.init || (isNewSegment && (isLongEnough || segment.isDiscontinuity))) {
      this.#finishCurrent()
      if (segment.isDiscontinuity || !part.isIndependent) this.#isBroken = true
      if (part.isIndependent) this.#begin(part)
      else this.#to({ kind: 'waiting', isResumed: true })
      return
    }
    this.#append(current, part)
  }

  #retry(state: Failed, part: Part): void {
    const isDue = !this.#isDiskFull && this.#options.clock.monotonicMs() >= state.retryAtMs
    if (isDue && part.isIndependent && this.unwrittenBytes <= this.#maxQueuedBytes / 2) return this.#begin(part)
    this.#drop(state)
  }

  #drop(state: Failed): void {
    state.droppedParts += 1
    this.#droppedParts += 1
  }

  /** Opens a file that begins with this part. */
  #begin(part: Part): void {
    const current = this.#open(part)
    this.#files.add(current.file)
    void this.#settle(current)
    const before = this.#state
    this.#to({ kind: 'recording', current })
    this.#announce(before)
    this.#append(current, part)
  }

  #open(part: Part): OpenFile {
    const { stream, settings, clock } = this.#options
    const startedAtMs = isTime(part.ntpMs) ? Math.round(part.ntpMs) : clock.nowMs()
    const identity: SegmentIdentity = {
      id: newId(clock.nowMs()),
      stream,
      sessionId: this.#sessionId,
      startedAtMs,
      isDiscontinuity: this.#isBroken,
    }
    this.#isBroken = false
    const path = segmentPath(identity)
    const initSizeBytes = part.init.bytes.length
    const current: OpenFile = {
      init: part.init,
      segment: { ...identity, path, durationMs: 0, sizeBytes: 0, state: 'open', initSizeBytes, isOnDisk: true },
      startMs: part.startMs,
      endMs: part.startMs,
      rowAtMs: -Infinity,
      file: new SegmentFile({
        path: absolutePath(settings.directory, path),
        head: [part.init.bytes, writeIdentityBox(identity)],
        sync: settings.sync,
        disk: this.#disk,
        onWritten: (written) => {
          this.#wrote(current, written)
        },
        onFailed: (error, lostParts) => {
          this.#lost(current, error, lostParts)
        },
      }),
    }
    return current
  }

  #append(current: OpenFile, part: Part): void {
    const unwrittenBytes = this.unwrittenBytes
    if (unwrittenBytes > 0 && unwrittenBytes + part.sizeBytes > this.#maxQueuedBytes) {
      const { stream } = this.#options
      this.#fail(
        new AppError(
          'DISK_SLOW',
          `${unwrittenBytes} bytes of "${stream}" wait for the disk; it is too slow for what is recorded to it`,
        ),
      )
      if (this.#state.kind === 'failed') this.#drop(this.#state)
      return
    }
    current.endMs = part.startMs + part.durationMs
    current.file.append(part, current.endMs - current.startMs)
    // Much at once does not wait for the timer: the queue is for a slow disk.
    if (current.file.unwrittenBytes > this.#maxQueuedBytes / 4) this.#flush()
    else this.#flushTimer ??= setTimeout(() => this.#flush(), this.#options.settings.flushMilliseconds)
  }

  #flush(): void {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    if (this.#state.kind === 'recording') this.#state.current.file.flush()
  }

  #finishCurrent(): void {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    if (this.#state.kind === 'recording') this.#state.current.file.finish()
  }

  #wrote(current: OpenFile, written: Written): void {
    this.#backoff.reset()
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - current.rowAtMs < rowUpdateMs) return
    current.rowAtMs = nowMs
    this.#options.rows.save({ ...current.segment, ...rounded(written) })
  }

  /** Closes the row once the file is closed. */
  async #settle({ file, segment }: OpenFile): Promise<void> {
    const written = rounded(await file.done)
    this.#files.delete(file)
    const { rows, events } = this.#options
    if (written.sizeBytes === 0) return rows.remove(segment.id)
    const { id: segmentId, stream, startedAtMs } = segment
    rows.save({ ...segment, ...written, state: 'closed', endedAtMs: startedAtMs + written.durationMs })
    events.emit({ type: 'recording.segment-closed', stream, segmentId, startedAtMs, ...written })
  }

  /** The disk refused a file: the current one, or one that was being closed. */
  #lost(current: OpenFile, error: AppError, lostParts: number): void {
    this.#droppedParts += lostParts
    this.#isBroken = true
    if (this.#state.kind === 'recording' && this.#state.current === current) this.#fail(error)
    else
      this.#options.log.error(
        { stream: this.#options.stream, code: error.code, reason: error.message, lostParts },
        'end of a recorded file lost',
      )
    if (this.#state.kind === 'failed') this.#state.droppedParts += lostParts
  }

  #fail(error: AppError): void {
    const { clock, events, log, stream } = this.#options
    this.#finishCurrent()
    this.#isBroken = true
    const sinceMs = clock.monotonicMs()
    const retryAtMs = sinceMs + (error.code === 'DISK_SLOW' ? 0 : this.#backoff.nextMs())
    this.#to({ kind: 'failed', error, sinceMs, retryAtMs, droppedParts: 0 })
    events.emit({ type: 'recording.failed', stream, code: error.code, message: error.message })
    log.error({ stream, code: error.code, reason: error.message }, 'recording failed; it goes on when the disk takes it')
  }

  #failFull(): void {
    const { directory } = this.#options.settings
    this.#fail(
      new AppError('DISK_FULL', `${directory} has less free space than its floor and nothing may be deleted; free space`),
    )
  }

  #announce(before: State): void {
    const { clock, events, log, stream } = this.#options
    if (before.kind === 'failed') {
      const failedMs = Math.round(clock.monotonicMs() - before.sinceMs)
      events.emit({ type: 'recording.recovered', stream, failedMs, droppedParts: before.droppedParts })
      log.info({ stream, failedMs, droppedParts: before.droppedParts }, 'recording again')
    }
    if (before.kind === 'waiting' && !before.isResumed) events.emit({ type: 'recording.started', stream })
  }

  #to(next: State): void {
    this.#state = next
  }
}

/** Whether a calendar of four-digit years has it: cameras say anything. */
function isTime(ms: number): boolean {
  return ms >= 0 && ms < Date.UTC(10_000, 0)
}

function rounded({ sizeBytes, durationMs }: Written): Written {
  return { sizeBytes, durationMs: Math.round(durationMs) }
}
