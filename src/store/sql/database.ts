/**
 * The database: SQLite in a file, or PostgreSQL. Features write their queries with Kysely over `Schema`, one text for both.
 *
 *   openDatabase ─► dialect (sqlite-dialect.ts | postgres-dialect.ts) ─► guarded driver: waits bounded, faults coded
 *        └────────► migrate.ts ─► migrations/0001-….ts, …
 */
import { pathToFileURL } from 'node:url'
import { Kysely } from 'kysely'
import { systemClock, type Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { withoutCredentials, type Logger } from '#lib/log.ts'
import { migrate } from './migrate.ts'
import type { Database, Schema } from './schema.ts'

export type OpenDatabaseOptions = {
  /** `sqlite:///absolute/path`, `sqlite::memory:`, or `postgres://user:password@host:port/database`. */
  readonly url: string
  readonly log: Logger
  /** Longest wait for a connection or a lock before a query fails with `DATABASE_UNAVAILABLE`. */
  readonly waitTimeoutMs?: number
  readonly clock?: Clock
}

/** A step of a migration may rewrite a big table; any other statement that takes this long is a fault. */
const migrationTimeoutMs = 15 * 60_000
const statementTimeoutMs = 30_000

/**
 * Opens a database and brings its schema to this version. Throws `CONFIG_INVALID` for a URL that names none,
 * `DATABASE_UNAVAILABLE` when it does not answer, and `DATABASE_NEWER` when a newer Millrace has migrated it.
 */
export async function openDatabase({
  url,
  log,
  waitTimeoutMs = 10_000,
  clock = systemClock,
}: OpenDatabaseOptions): Promise<Database> {
  const options = { url, log, waitTimeoutMs, clock }
  const path = sqlitePath(url)
  if (path !== undefined) return await openSqlite(path, options)
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return await openPostgres(options)
  throw new AppError(
    'CONFIG_INVALID',
    `database.url "${withoutCredentials(url)}" names no database; write sqlite:///absolute/path, sqlite::memory: or postgres://user:password@host/database`,
  )
}

/** The URL of a SQLite file, for `openDatabase`. */
export function sqliteUrl(path: string): string {
  return pathToFileURL(path).href.replace(/^file:/, 'sqlite:')
}

/** The file that a URL names, or `:memory:`; undefined: it is none of SQLite. */
export function sqlitePath(url: string): string | undefined {
  if (url === 'sqlite::memory:') return ':memory:'
  if (!/^sqlite:\/\/\/./.test(url) || !URL.canParse(url)) return undefined
  return decodeURIComponent(new URL(url).pathname)
}

async function openSqlite(path: string, { log, waitTimeoutMs, clock }: Required<OpenDatabaseOptions>): Promise<Database> {
  const { sqliteDialect } = await import('./sqlite-dialect.ts')
  const db = new Kysely<Schema>({ dialect: sqliteDialect({ path, waitTimeoutMs, clock }) })
  try {
    logSteps(log, await migrate(db, 'sqlite'))
  } catch (error) {
    await db.destroy()
    throw error
  }
  return { db, dialect: 'sqlite', [Symbol.asyncDispose]: () => db.destroy() }
}

/** `pg` is loaded only by whoever uses it. */
async function openPostgres({ url, log, waitTimeoutMs }: Required<OpenDatabaseOptions>): Promise<Database> {
  const { postgresDialect } = await import('./postgres-dialect.ts')
  {
    const dialect = postgresDialect({ url, log, waitTimeoutMs, statementTimeoutMs: migrationTimeoutMs })
    await using db = new Kysely<Schema>({ dialect })
    logSteps(log, await migrate(db, 'postgres'))
  }
  const db = new Kysely<Schema>({ dialect: postgresDialect({ url, log, waitTimeoutMs, statementTimeoutMs }) })
  return { db, dialect: 'postgres', [Symbol.asyncDispose]: () => db.destroy() }
}

function logSteps(log: Logger, steps: readonly string[]): void {
  if (steps.length > 0) log.info({ steps }, 'database migrated')
}
