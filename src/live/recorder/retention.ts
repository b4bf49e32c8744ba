import { statfs } from 'node:fs/promises'
import type { Clock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { EventSink } from '../events.ts'
import type { RecordingPolicy, RecordingsSettings } from '../settings.ts'
import { freeSegment, type FreeReason } from './delete-segment.ts'
import { diskError } from './recording-disk.ts'
import type { OldestQuery, RecordingIndex, RecordingSegment } from './recording-index.ts'

export type RetentionPolicy = Pick<RecordingPolicy, 'retentionHours' | 'retentionMegabytes' | 'archive' | 'archiveRetentionHours'>

export type RetentionOptions = {
  readonly directory: string
  readonly index: Pick<RecordingIndex, 'usage' | 'oldestClosed' | 'forgetFile'>
  readonly settings: Pick<RecordingsSettings, 'maxMegabytes' | 'minFreeMegabytes'>
  /** Undefined for a stream that nobody declares any more: only what holds for all together applies to it. */
  readonly policyOf: (stream: string) => RetentionPolicy | undefined
  /** True: below the floor and nothing can be deleted; recorders must stop until it says false. Called after every run. */
  readonly onDiskFull: (isFull: boolean) => void
  readonly events: EventSink
  readonly clock: Clock
  readonly log: Logger
  /** Bytes that may still be written to the disk of the directory. */
  readonly freeBytes?: (directory: string) => Promise<number>
  readonly intervalMs?: number
}

export type RetentionReport = {
  readonly deleted: Readonly<Record<FreeReason, number>>
  /** Of these, how many the archive has. */
  readonly archived: number
  readonly deletedBytes: number
  readonly failed: number
  readonly freeBytes: number
  readonly isDiskFull: boolean
}

const megabyte = 1e6
/** How soon space is looked for again while the disk is full. */
const fullIntervalMs = 5_000
const segmentsPerQuery = 100
/** Rounds of deleting for free space in one run: a file that somebody still reads gives no space back. */
const freeSpaceRounds = 100

/**
 * Deletes recordings from the disk that nobody wants kept there: per stream by age and by size, then of all streams by total size and by
 * free space; the oldest first, never one that is being written. One that its stream wants archived waits for that, unless all together
 * take too much: then those go first that the archive has.
 */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions
  readonly #freeBytes: (directory: string) => Promise<number>
  #timer: NodeJS.Timeout | undefined
  #fullTimer: NodeJS.Timeout | undefined
  #running: Promise<RetentionReport> | undefined
  #isClosed = false

  constructor(options: RetentionOptions) {
    this.#options = options
    this.#freeBytes = options.freeBytes ?? systemFreeBytes
  }

  /** Runs now and then every `intervalMs` (60 s). */
  start(): void {
    this.#timer ??= setInterval(() => void this.#runGuarded(), this.#options.intervalMs ?? 60_000)
    void this.#runGuarded()
  }

  /** One run; joins the one under way. Throws what the index or the disk throws. */
  run(): Promise<RetentionReport> {
    this.#running ??= this.#runOnce().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Runs now if the disk is below its floor, so that it is not full before the next run; otherwise costs a look at the disk. */
  async checkSpace(): Promise<void> {
    const { directory, settings } = this.#options
    // A disk that cannot be asked is the run's to complain about.
    const freeBytes = await this.#freeBytes(directory).catch(() => 0)
    if (!this.#isClosed && freeBytes < settings.minFreeMegabytes * megabyte) await this.#runGuarded()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    clearTimeout(this.#fullTimer)
    await this.#running?.catch(() => {})
  }

  async #runGuarded(): Promise<void> {
    try {
      await this.run()
    } catch (error) {
      const { code, message } = toAppError(error)
      this.#options.log.error({ code, reason: message }, 'retention failed; the next run tries again')
    }
  }

  async #runOnce(): Promise<RetentionReport> {
    const run = new RetentionRun(this.#options, () => this.#isClosed)
    for (const { stream, sizeBytes } of await this.#options.index.usage()) await run.limitStream(stream, sizeBytes)
    await run.limitTotal()
    const freeBytes = await run.limitFree(this.#freeBytes)
    const isDiskFull = freeBytes < this.#options.settings.minFreeMegabytes * megabyte
    const report: RetentionReport = { ...run.counts, freeBytes, isDiskFull }
    if (!this.#isClosed) this.#tell(isDiskFull)
    // It runs each minute; an operator wants to read of what it did.
    const hasActed = report.deletedBytes > 0 || report.failed > 0
    this.#options.log[hasActed ? 'info' : 'debug'](report, 'retention ran')
    return report
  }

  #tell(isDiskFull: boolean): void {
    this.#options.onDiskFull(isDiskFull)
    clearTimeout(this.#fullTimer)
    this.#fullTimer = isDiskFull ? setTimeout(() => void this.#runGuarded(), fullIntervalMs) : undefined
  }
}

class RetentionRun {
  readonly counts = { deleted: { age: 0, size: 0, 'free-space': 0 }, archived: 0, deletedBytes: 0, failed: 0 }
  readonly #options: RetentionOptions
  readonly #isClosed: () => boolean
  /** What could not be deleted is not tried twice in one run. */
  readonly #failedIds = new Set<string>()

  constructor(options: RetentionOptions, isClosed: () => boolean) {
    this.#options = options
    this.#isClosed = isClosed
  }

  async limitStream(stream: string, sizeBytes: number): Promise<void> {
    const policy = this.#options.policyOf(stream)
    if (!policy) return
    const nowMs = this.#options.clock.nowMs()
    const query = { stream, ...(policy.archive ? { unarchivedBeforeMs: archivedFromMs(policy, nowMs) } : {}) }
    let restBytes = sizeBytes
    if (policy.retentionHours > 0) {
      const endedBeforeMs = nowMs - policy.retentionHours * 3_600_000
      restBytes -= await this.#deleteWhile('age', { ...query, endedBeforeMs }, () => true)
    }
    const limitBytes = policy.retentionMegabytes * megabyte
    if (limitBytes > 0) await this.#deleteWhile('size', query, (deletedBytes) => restBytes - deletedBytes > limitBytes)
  }

  async limitTotal(): Promise<void> {
    const limitBytes = this.#options.settings.maxMegabytes * megabyte
    if (limitBytes <= 0) return
    const totalBytes = (await this.#options.index.usage()).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    await this.#deleteOfAll('size', (deletedBytes) => totalBytes - deletedBytes > limitBytes)
  }

  /** Deletes until the floor is kept, asking the disk after each round; returns what is free in the end. */
  async limitFree(freeBytesOf: (directory: string) => Promise<number>): Promise<number> {
    const { directory, settings } = this.#options
    const floorBytes = settings.minFreeMegabytes * megabyte
    let freeBytes = await freeBytesOf(directory)
    for (let round = 0; freeBytes < floorBytes && round < freeSpaceRounds; round++) {
      const missingBytes = floorBytes - freeBytes
      const deletedBytes = await this.#deleteOfAll('free-space', (deleted) => deleted < missingBytes)
      freeBytes = await freeBytesOf(directory)
      if (deletedBytes === 0) break
    }
    return freeBytes
  }

  /** Of any stream: first what the archive has, then whatever there is. */
  async #deleteOfAll(reason: FreeReason, isNeeded: (deletedBytes: number) => boolean): Promise<number> {
    const archivedBytes = await this.#deleteWhile(reason, { unarchivedBeforeMs: 0 }, isNeeded)
    return archivedBytes + (await this.#deleteWhile(reason, {}, (deletedBytes) => isNeeded(archivedBytes + deletedBytes)))
  }

  /** Deletes the oldest as long as `isNeeded(bytes deleted by this call)`; returns these bytes. */
  async #deleteWhile(
    reason: FreeReason,
    query: Omit<OldestQuery, 'limit'>,
    isNeeded: (deletedBytes: number) => boolean,
  ): Promise<number> {
    let deletedBytes = 0
    for (;;) {
      const limit = segmentsPerQuery + this.#failedIds.size
      const oldest = await this.#options.index.oldestClosed({ ...query, limit })
      const candidates = oldest.filter(({ id }) => !this.#failedIds.has(id))
      if (candidates.length === 0) return deletedBytes
      for (const segment of candidates) {
        if (this.#isClosed() || !isNeeded(deletedBytes)) return deletedBytes
        if (await this.#delete(segment, reason)) deletedBytes += segment.sizeBytes
      }
    }
  }

  /** False when the disk refused; the others are tried all the same. */
  async #delete(segment: RecordingSegment, reason: FreeReason): Promise<boolean> {
    try {
      const isArchived = await freeSegment(this.#options, segment, reason)
      if (isArchived) this.counts.archived += 1
      else this.#warnOfLoss(segment, reason)
    } catch (error) {
      const { code, message } = toAppError(error)
      if (code !== 'DISK_FAILED') throw error
      this.#failedIds.add(segment.id)
      this.counts.failed += 1
      this.#options.log.warn({ segmentId: segment.id, path: segment.path, code, reason: message }, 'recording cannot be deleted')
      return false
    }
    this.counts.deleted[reason] += 1
    this.counts.deletedBytes += segment.sizeBytes
    return true
  }

  /** The disk could not wait for the archive. */
  #warnOfLoss({ id: segmentId, stream, path, endedAtMs = 0 }: RecordingSegment, reason: FreeReason): void {
    const policy = this.#options.policyOf(stream)
    if (!policy?.archive || endedAtMs < archivedFromMs(policy, this.#options.clock.nowMs())) return
    this.#options.log.warn(
      { segmentId, stream, path, reason },
      'recording deleted before it was archived; the disk is too small for as long as the archive was away',
    )
  }
}

/** What ended before this does not go to the archive of a stream that has one. */
function archivedFromMs({ archiveRetentionHours: hours }: RetentionPolicy, nowMs: number): number {
  return hours > 0 ? nowMs - hours * 3_600_000 : 0
}

async function systemFreeBytes(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  } catch (error) {
    throw diskError(error, directory)
  }
}
