import type { Clock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { findNewest, pruneBackups, type Backup } from './backup-directory.ts'

/** After a failure it waits so long: a full disk is told in one line now and then. */
const retryMs = 15 * 60_000

/** What the keeper needs of the object store that has copies; absent: there are none. */
export interface BackupCopies {
  store(backup: Backup, signal: AbortSignal): Promise<void>
  remove(backups: readonly Backup[]): Promise<void>
}

type Options = {
  readonly directory: string
  readonly everyMs: number
  readonly keepMs: number
  readonly create: (signal: AbortSignal) => Promise<Backup>
  readonly copies: BackupCopies | undefined
  readonly clock: Clock
  readonly log: Logger
}

/** Makes a backup when the newest is too old, and deletes those that are too old. */
export class BackupKeeper {
  readonly #options: Options
  #failureCount = 0
  #notBeforeMs = -Infinity

  constructor(options: Options) {
    this.#options = options
  }

  get failureCount(): number {
    return this.#failureCount
  }

  /** For metrics: also of backups that a command made. */
  async findNewest(): Promise<{ createdAtMs: number; sizeBytes: number } | undefined> {
    const newest = await findNewest(this.#options.directory)
    return newest && { createdAtMs: newest.createdAtMs, sizeBytes: newest.manifest.sizeBytes }
  }

  /** Does what is due, and never throws: a failure is counted and told, and tried again later. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, directory } = this.#options
    if (clock.monotonicMs() < this.#notBeforeMs) return
    try {
      await this.#run(signal)
    } catch (thrown) {
      if (signal.aborted) return
      this.#failureCount += 1
      this.#notBeforeMs = clock.monotonicMs() + retryMs
      const { code, message } = toAppError(thrown)
      log.error({ code, directory, reason: message, retryMs }, 'backup failed')
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { directory, everyMs, keepMs, create, copies, clock, log } = this.#options
    const newest = await findNewest(directory)
    if (newest && newest.createdAtMs > clock.nowMs() - everyMs) return
    const startedAtMs = clock.monotonicMs()
    const backup = await create(signal)
    await copies?.store(backup, signal)
    const { path, manifest } = backup
    log.info({ path, sizeBytes: manifest.sizeBytes, tookMs: Math.round(clock.monotonicMs() - startedAtMs) }, 'backup made')
    const nowMs = clock.nowMs()
    const pruned = await pruneBackups(directory, { beforeMs: nowMs - keepMs, nowMs })
    await copies?.remove(pruned)
    if (pruned.length > 0) log.info({ directory, count: pruned.length }, 'old backups deleted')
  }
}
