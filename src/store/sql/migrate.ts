import { sql, type Kysely } from 'kysely'
import { AppError } from '#lib/errors.ts'
import { streamsAndRecordings } from './migrations/0001-streams-and-recordings.ts'
import { eventLog } from './migrations/0002-event-log.ts'
import { jobs } from './migrations/0003-jobs.ts'
import { recordingArchive } from './migrations/0004-recording-archive.ts'
import { apiKeys } from './migrations/0005-api-keys.ts'
import { jobTraces } from './migrations/0006-job-traces.ts'
import type { Migration } from './migrations/migration.ts'
import type { Dialect, Schema } from './schema.ts'

/** In order of `id`, without gaps. */
const migrations: readonly Migration[] = [streamsAndRecordings, eventLog, jobs, recordingArchive, apiKeys, jobTraces]

type MigrationRow = { id: number; name: string; applied_at: string }
type WithMigrations = Schema & { schema_migrations: MigrationRow }

/** Any number that nobody else uses for `pg_advisory_xact_lock` in this database. */
const advisoryLock = 6_455_722_310

/**
 * Brings the schema to this version, in one transaction, while no other process can do the same. Returns the names of the steps that ran.
 * Throws `DATABASE_NEWER` when the database has steps that this program does not know, and leaves it as it was.
 */
export async function migrate(db: Kysely<Schema>, dialect: Dialect): Promise<string[]> {
  return await db.transaction().execute(async (trx) => {
    // On SQLite the transaction holds the only write lock already (`BEGIN IMMEDIATE`).
    if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${advisoryLock})`.execute(trx)
    const table = trx.withTables<WithMigrations>()
    const applied = await loadApplied(table)
    refuseNewer(applied)
    const pending = migrations.filter(({ id }) => !applied.some((row) => row.id === id))
    for (const { id, name, up } of pending) {
      await up(trx, dialect)
      await table
        .insertInto('schema_migrations')
        .values({ id, name, applied_at: sql`current_timestamp` })
        .execute()
    }
    return pending.map(({ name }) => name)
  })
}

/** Whether this program knows a step that a database has gone through. */
export function isKnownMigration({ id, name }: Pick<MigrationRow, 'id' | 'name'>): boolean {
  return migrations.some((migration) => migration.id === id && migration.name === name)
}

async function loadApplied(db: Kysely<WithMigrations>): Promise<MigrationRow[]> {
  await db.schema
    .createTable('schema_migrations')
    .ifNotExists()
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('applied_at', 'text', (column) => column.notNull())
    .execute()
  return await db.selectFrom('schema_migrations').selectAll().orderBy('id').execute()
}

function refuseNewer(applied: readonly MigrationRow[]): void {
  const unknown = applied.find(({ id }) => !migrations.some((migration) => migration.id === id))
  if (!unknown) return
  throw new AppError(
    'DATABASE_NEWER',
    `the database was migrated by a newer Millrace: it has step ${unknown.id} "${unknown.name}", this program ends at ${migrations.length}; run the newer version, or restore a backup made before the upgrade`,
  )
}
