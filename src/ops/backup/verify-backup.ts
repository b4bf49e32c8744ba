import { stat } from 'node:fs/promises'
import { AppError } from '#lib/errors.ts'
import { isKnownMigration } from '#store/sql/migrate.ts'
import type { Backup } from './backup-directory.ts'
import { digestFile } from './digest.ts'

/**
 * Reads a backup to its end: its digest, the integrity of the database in it, and whether this program knows its schema. Throws `BACKUP_DAMAGED`,
 * `BACKUP_NOT_FOUND`, `DATABASE_NEWER`, and for PostgreSQL `BACKUP_TOOL_MISSING`. Blocks the thread.
 */
export async function verifyBackup({ path, manifest }: Backup, signal: AbortSignal): Promise<void> {
  const file = await stat(path).catch(() => undefined)
  if (!file) throw new AppError('BACKUP_NOT_FOUND', `${path} is gone, only its manifest is there; use another backup`)
  const { sha256, sizeBytes } = digestFile(path)
  if (sizeBytes !== manifest.sizeBytes || sha256 !== manifest.sha256) {
    const found = `${sizeBytes} bytes with SHA-256 ${sha256.slice(0, 16)}…`
    const made = `${manifest.sizeBytes} bytes with ${manifest.sha256.slice(0, 16)}…`
    throw new AppError('BACKUP_DAMAGED', `${path} is not what was written: ${found} in place of ${made}; use another backup`)
  }
  if (manifest.database === 'sqlite') {
    const { checkSqliteFile } = await import('./sqlite-file.ts')
    checkSqliteFile(path)
  } else {
    const { checkDump } = await import('./postgres-tools.ts')
    await checkDump(path, signal)
  }
  const unknown = manifest.migrations.find((step) => !isKnownMigration(step))
  if (!unknown) return
  throw new AppError(
    'DATABASE_NEWER',
    `${path} was made by Millrace ${manifest.version}: this program does not know step ${unknown.id} "${unknown.name}"; run that version or a newer one`,
  )
}
