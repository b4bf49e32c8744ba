import { PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler, type Dialect } from 'kysely'
import { Pool, types } from 'pg'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { GuardedDriver } from './guarded-driver.ts'
import { PostgresDriver } from './postgres-driver.ts'
import { translatePostgresError } from './postgres-errors.ts'

/** Connections of one process at most; a fleet of ten nodes then fits PostgreSQL's default of 100. */
const maxConnections = 8

type PostgresOptions = {
  readonly url: string
  /** How long a query may wait for a connection. */
  readonly waitTimeoutMs: number
  /** How long one statement may take. */
  readonly statementTimeoutMs: number
  readonly log: Logger
}

/** PostgreSQL through `pg`: a bounded pool, every wait bounded, lost connections replaced. */
export function postgresDialect({ url, waitTimeoutMs, statementTimeoutMs, log }: PostgresOptions): Dialect {
  const target = nameOf(url)
  return {
    createDriver() {
      const pool = new Pool({
        connectionString: url,
        application_name: 'millrace',
        max: maxConnections,
        connectionTimeoutMillis: waitTimeoutMs,
        idleTimeoutMillis: 60_000,
        keepAlive: true,
        pipeline: true,
        // Plans are kept. One for the few rows that a table had must not read all of the many that it has a minute later: there is an index for each of our
        // statements. 20,000 jobs that came at once after 100: a claim took 17 ms, and takes 1.7 ms, until PostgreSQL counted the rows again.
        options: '-c enable_seqscan=off',
        statement_timeout: statementTimeoutMs,
        idle_in_transaction_session_timeout: 60_000,
        // The server ends what takes too long; this is for a server that went away without a word.
        query_timeout: statementTimeoutMs + 5_000,
        types: { getTypeParser: (oid, format) => numberParsers.get(oid) ?? types.getTypeParser(oid, format) },
      })
      // The pool has dropped the connection when this comes; without a listener it would end the process.
      pool.on('error', (error) => log.warn({ database: target, error: error.message }, 'idle database connection lost'))
      // One that breaks while a query waits for its answer: the query fails, and that is told.
      pool.on('connect', (client) => client.on('error', () => {}))
      return new GuardedDriver(new PostgresDriver(pool), async (step) => {
        try {
          return await step()
        } catch (error) {
          throw translatePostgresError(error, target)
        }
      })
    },
    createAdapter: () => new PostgresAdapter(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: (db) => new PostgresIntrospector(db),
  }
}

/** `pg` gives 64-bit integers as text. Ours are times and sizes below 2^53; sums of them are `numeric`. */
const numberParsers: ReadonlyMap<number, (text: string) => number> = new Map([
  [types.builtins.INT8, parseInteger],
  [types.builtins.NUMERIC, Number],
])

function parseInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new AppError('INTERNAL', `the database holds ${text}, which is above 2^53`)
  return value
}

/** Host and database for messages, without credentials. */
function nameOf(url: string): string {
  const { host, pathname } = new URL(url)
  return decodeURIComponent(host + pathname)
}
