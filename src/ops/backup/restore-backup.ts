import { constants, existsSync } from 'node:fs'
import { chmod, copyFile, link, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '#lib/errors.ts'
import { isSqliteBusy } from '#store/sql/sqlite-errors.ts'
import type { Backup } from './backup-directory.ts'
import type { BackupSource } from './create-backup.ts'
import { restorePostgres } from './postgres-tools.ts'
import { requireSpace } from './disk-space.ts'
import { verifyBackup } from './verify-backup.ts'

/** `aside` is where the old database is now; absent: there was none. */
export type RestoredBackup = { readonly aside?: string }

/**
 * Verifies a backup and puts it in the place of the database, which is kept beside it. Throws `DATABASE_IN_USE` while a server has the database open, and what
 * verifying throws; then nothing has changed.
 */
export async function restoreBackup(
  backup: Backup,
  { target, atMs, signal }: { target: BackupSource; atMs: number; signal: AbortSignal },
): Promise<RestoredBackup> {
  if (backup.manifest.database !== target.kind)
    throw new AppError(
      'UNSUPPORTED',
      `${backup.path} is of ${backup.manifest.database}, the database of the configuration of ${target.kind}; set database.url`,
    )
  await verifyBackup(backup, signal)
  const time = new Date(atMs).toISOString().replaceAll(/[-:.]/g, '')
  if (target.kind === 'sqlite')
    return await restoreSqlite(backup, { path: target.path, aside: `${target.path}.before-restore-${time}` })
  const aside = `before_restore_${time.toLowerCase()}`
  await restorePostgres({ url: target.url, source: backup.path, aside }, signal)
  return { aside: `schema ${aside}` }
}

async function restoreSqlite(backup: Backup, { path, aside }: { path: string; aside: string }): Promise<RestoredBackup> {
  await mkdir(dirname(path), { recursive: true })
  await requireSpace(dirname(path), backup.manifest.sizeBytes)
  const partial = `${path}.restore.part`
  try {
    await rm(partial, { force: true })
    await copyFile(backup.path, partial, constants.COPYFILE_FICLONE)
    await chmod(partial, 0o600)
    await using file = await open(partial, 'r+')
    await file.sync()
    using _held = holdAlone(path)
    const moved = await setAside(path, aside)
    await rename(partial, path)
    await syncDirectory(dirname(path))
    return moved ? { aside } : {}
  } finally {
    await rm(partial, { force: true })
  }
}

/** Under the name of the database there is always one: the old one gets a second name first, and loses the first to the new one. */
async function setAside(path: string, aside: string): Promise<boolean> {
  if (!existsSync(path)) return false
  for (const suffix of ['-wal', '-shm']) if (existsSync(path + suffix)) await rename(path + suffix, aside + suffix)
  await link(path, aside)
  return true
}

/**
 * The lock of the only user of a database. Whoever has it open in WAL mode keeps a shared lock, so that only who is alone can end that mode; what is in the
 * write-ahead log goes into the file with it. A file that is no sound database has nobody to wait for.
 */
function holdAlone(path: string): Disposable {
  const none = { [Symbol.dispose]() {} }
  if (!existsSync(path)) return none
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('pragma journal_mode = delete')
    database.exec('begin exclusive')
    return database
  } catch (error) {
    database.close()
    if (!isSqliteBusy(error)) return none
    throw new AppError('DATABASE_IN_USE', `a server or another program uses ${path}; stop it first, then restore`, {
      cause: error,
    })
  }
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}
