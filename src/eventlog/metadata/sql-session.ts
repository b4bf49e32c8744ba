import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { Database, Dialect, Schema } from '#store/sql/schema.ts'

/** Where queries go: the database, or one transaction on it. */
export type Session = { readonly db: Kysely<Schema>; readonly dialect: Dialect }

/** One transaction: all of it is stored, or nothing when it throws. */
export async function inTransaction<T>({ db, dialect }: Database, step: (session: Session) => Promise<T>): Promise<T> {
  return await db.transaction().execute((transaction) => step({ db: transaction, dialect }))
}

/** Rows that one step of a long removal takes: SQLite keeps the thread for about 8 ms in it. */
export const rowsPerStep = 1000

/**
 * Runs a step, each time in a transaction of its own, until it says `done`. Others get their turn in between: SQLite never leaves the thread by itself.
 */
export async function inSteps(database: Database, step: (session: Session) => Promise<'more' | 'done'>): Promise<void> {
  while ((await inTransaction(database, step)) === 'more') await nextTurn()
}
