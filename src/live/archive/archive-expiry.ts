import type { Clock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { EventSink } from '../events.ts'
import type { RecordingIndex } from '../recorder/recording-index.ts'
import type { ArchivePolicy } from './archiver.ts'
import type { SegmentArchive } from './segment-archive.ts'

export type ArchiveExpiryOptions = {
  readonly index: Pick<RecordingIndex, 'oldestArchived' | 'forgetArchived'>
  readonly archive: Pick<SegmentArchive, 'remove'>
  /** Of all streams that somebody declares, as of now. */
  readonly policies: () => Iterable<readonly [stream: string, policy: ArchivePolicy]>
  readonly events: EventSink
  readonly clock: Clock
  readonly log: Logger
  readonly intervalMs?: number
}

const segmentsPerQuery = 100

/** Deletes from the archive what is older than its stream wants. It does not share a run with retention: a slow store must not hold up a full disk. */
export class ArchiveExpiry implements AsyncDisposable {
  readonly #options: ArchiveExpiryOptions
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isClosed = false
  #isFailing = false

  constructor(options: ArchiveExpiryOptions) {
    this.#options = options
  }

  /** Runs now and then every `intervalMs` (60 s). */
  start(): void {
    this.#timer ??= setInterval(() => void this.#runGuarded(), this.#options.intervalMs ?? 60_000)
    void this.#runGuarded()
  }

  /** One run; joins the one under way. Throws what the index or the store throws; what is left is deleted by the next one. */
  run(): Promise<void> {
    this.#running ??= this.#runOnce().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** A delete that is under way may end later: its row then says that the segment is there, and the next start deletes it again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
  }

  async #runGuarded(): Promise<void> {
    try {
      await this.run()
      this.#isFailing = false
    } catch (error) {
      const { code, message } = toAppError(error)
      if (!this.#isFailing && !this.#isClosed)
        this.#options.log.warn({ code, reason: message }, 'archived recordings cannot be deleted; trying again')
      this.#isFailing = true
    }
  }

  async #runOnce(): Promise<void> {
    for (const [stream, { archiveRetentionHours: hours }] of this.#options.policies()) {
      if (hours > 0) await this.#expire(stream, this.#options.clock.nowMs() - hours * 3_600_000)
    }
  }

  async #expire(stream: string, endedBeforeMs: number): Promise<void> {
    const { index, archive, events } = this.#options
    for (;;) {
      const old = await index.oldestArchived({ stream, endedBeforeMs, limit: segmentsPerQuery })
      for (const { id: segmentId, path, sizeBytes } of old) {
        if (this.#isClosed) return
        await archive.remove(path)
        const isOnDisk = await index.forgetArchived(segmentId)
        if (!isOnDisk) events.emit({ type: 'recording.deleted', stream, segmentId, reason: 'archive-age', sizeBytes })
      }
      if (old.length < segmentsPerQuery) return
    }
  }
}
