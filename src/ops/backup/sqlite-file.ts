import { DatabaseSync } from 'node:sqlite'
import { Type } from 'typebox'
import { Parse } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import type { BackupMigration } from './manifest.ts'

const maxFindings = 10

/** The steps that brought the database where it is; none for one that is new. */
export function loadSqliteMigrations(path: string): BackupMigration[] {
  using database = new DatabaseSync(path, { readOnly: true })
  const isThere = database.prepare(`select 1 from sqlite_schema where name = 'schema_migrations'`).get()
  if (!isThere) return []
  const rows = database.prepare('select id, name from schema_migrations order by id').all()
  return Parse(Type.Array(Type.Object({ id: Type.Integer(), name: Type.String() })), rows)
}

/** Throws `BACKUP_DAMAGED` when SQLite finds a page, row or index of the file that does not fit. Blocks the thread. */
export function checkSqliteFile(path: string): void {
  const findings = integrityFindings(path)
  if (findings.length === 1 && findings[0] === 'ok') return
  throw new AppError('BACKUP_DAMAGED', `${path} is damaged: ${findings.join('; ')}; use another backup`)
}

function integrityFindings(path: string): string[] {
  try {
    using database = new DatabaseSync(path, { readOnly: true })
    return database
      .prepare(`pragma integrity_check(${maxFindings})`)
      .all()
      .map(({ integrity_check: finding }) => String(finding))
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}
