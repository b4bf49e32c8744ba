import { sql, type Kysely, type RawBuilder } from 'kysely'
import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { executeLast } from '#store/sql/last-statement.ts'
import type { Database, Dialect, Schema } from '#store/sql/schema.ts'

/** Where queries go: the database, or one transaction on it. */
export type Session = { readonly db: Kysely<Schema>; readonly dialect: Dialect }

/** SQLSTATE of PostgreSQL for a transaction that may succeed when it is tried again: serialization_failure, deadlock_detected. */
const retriedStates: readonly unknown[] = ['40001', '40P01']
const maxTries = 6

/** One transaction: all of it is stored, or nothing when it throws. PostgreSQL may end it because of another one; then it is tried again, a few times. */
export async function inTransaction<T>({ db, dialect }: Database, step: (session: Session) => Promise<T>): Promise<T> {
  const backoff = new Backoff({ firstMs: 10, maxMs: 500 })
  for (;;) {
    try {
      return await db.transaction().execute((transaction) => step({ db: transaction, dialect }))
    } catch (error) {
      const state = error instanceof Error && 'code' in error ? error.code : undefined
      if (!retriedStates.includes(state) || backoff.attempts + 1 >= maxTries) throw error
      await sleep(backoff.nextMs())
    }
  }
}

/**
 * Runs statements that need nothing of each other, and gives what the last one gives: on PostgreSQL as one. `isLast`: nothing follows in this transaction,
 * which PostgreSQL commits with it.
 */
export async function runTogether<Row>(
  { db, dialect }: Session,
  {
    writes,
    query,
    isLast,
  }: { readonly writes: readonly RawBuilder<unknown>[]; readonly query: RawBuilder<Row>; readonly isLast: boolean },
): Promise<Row[]> {
  if (dialect === 'sqlite') {
    for (const write of writes) await write.execute(db)
    return (await query.execute(db)).rows
  }
  const steps = writes.map((write, at) => sql`${sql.ref(`step_${at}`)} as (${write})`)
  const together = steps.length === 0 ? query : sql<Row>`with ${sql.join(steps)} ${query}`
  return (await (isLast ? executeLast(db, together) : together.execute(db))).rows
}

/** The same for writes of which nothing is asked. */
export async function writeTogether(
  session: Session,
  writes: readonly RawBuilder<unknown>[],
  { isLast = false } = {},
): Promise<void> {
  const query = writes.at(-1)
  if (query) await runTogether(session, { writes: writes.slice(0, -1), query, isLast })
}

/** Milliseconds since the epoch by the database's clock; a subselect, so that it is the same for all rows of a statement. */
export function nowMs(dialect: Dialect): RawBuilder<number> {
  return dialect === 'postgres'
    ? sql<number>`(select floor(extract(epoch from clock_timestamp()) * 1000)::bigint)`
    : sql<number>`(select cast(unixepoch('subsec') * 1000 as integer))`
}

export async function loadNowMs({ db, dialect }: Session): Promise<number> {
  const { rows } = await sql<{ now: number }>`select ${nowMs(dialect)} as now`.execute(db)
  const [row] = rows
  if (!row) throw new Error('the database gave no time')
  return row.now
}
