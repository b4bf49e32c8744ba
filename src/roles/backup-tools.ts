import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { showConfiguration } from '#lib/config/show.ts'
import type { Loaded } from '#lib/config/load.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { listBackups, pruneBackups, requireBackup, type Backup } from '#ops/backup/backup-directory.ts'
import type { RestoredBackup } from '#ops/backup/restore-backup.ts'
import { backupDeps } from './backup-part.ts'
import { settingsSchema, type Settings } from './settings.ts'

export type { Backup } from '#ops/backup/backup-directory.ts'

/** What can be done about backups without a server, and beside one. */
export interface BackupTools {
  readonly directory: string
  list(): Promise<Backup[]>
  /** Throws `CONFIG_INVALID` when there is no database: a wrong path is not to look like an empty one. */
  create(signal: AbortSignal): Promise<Backup>
  /** The one of a file, or of a name in the directory. Throws `BACKUP_NOT_FOUND`. */
  require(file: string): Promise<Backup>
  /** Deletes what is older than `keepDays`, as the server does, but the newest two. */
  prune(): Promise<Backup[]>
  /** See `verifyBackup`. */
  verify(backup: Backup, signal: AbortSignal): Promise<void>
  /** See `restoreBackup`. */
  restore(backup: Backup, signal: AbortSignal): Promise<RestoredBackup>
}

export function backupTools(loaded: Loaded<Settings>, clock: Clock): BackupTools {
  const settings = loaded.value
  const deps = backupDeps({ settings, showConfiguration: () => showConfiguration(settingsSchema, loaded), clock })
  const { directory, source } = deps
  return {
    directory,
    list: () => listBackups(directory),
    async create(signal) {
      if (source.kind === 'sqlite' && !existsSync(source.path)) {
        throw new AppError(
          'CONFIG_INVALID',
          `there is no database ${source.path}; name the data directory of the server with --data, or its --config`,
        )
      }
      const { createBackup } = await import('#ops/backup/create-backup.ts')
      return await createBackup(deps, signal)
    },
    require: (file) =>
      existsSync(file)
        ? requireBackup(dirname(resolve(file)), basename(file))
        : requireBackup(dirname(join(directory, file)), basename(file)),
    prune() {
      const nowMs = clock.nowMs()
      return pruneBackups(directory, { beforeMs: nowMs - settings.backup.keepDays * 86_400_000, nowMs })
    },
    async verify(backup, signal) {
      const { verifyBackup } = await import('#ops/backup/verify-backup.ts')
      await verifyBackup(backup, signal)
    },
    async restore(backup, signal) {
      const { restoreBackup } = await import('#ops/backup/restore-backup.ts')
      return await restoreBackup(backup, { target: source, atMs: clock.nowMs(), signal })
    },
  }
}
