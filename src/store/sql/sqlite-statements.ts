import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { SqliteStatement } from 'kysely'
import { AppError } from '#lib/errors.ts'

/** Prepared statements by their text; the least recently used goes when the cache is full. */
export class StatementCache {
  readonly #database: DatabaseSync
  readonly #capacity: number
  readonly #statements = new Map<string, SqliteStatement>()

  constructor(database: DatabaseSync, { capacity }: { capacity: number }) {
    this.#database = database
    this.#capacity = capacity
  }

  get(sql: string): SqliteStatement {
    const statement = this.#statements.get(sql) ?? wrap(this.#database.prepare(sql))
    this.#statements.delete(sql)
    this.#statements.set(sql, statement)
    if (this.#statements.size > this.#capacity) {
      const [oldest] = this.#statements.keys()
      if (oldest !== undefined) this.#statements.delete(oldest)
    }
    return statement
  }
}

function wrap(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    // Plain objects, as from PostgreSQL: SQLite's rows have no prototype.
    all: (parameters) => statement.all(...parameters.map(bindable)).map((row) => ({ ...row })),
    run: (parameters) => statement.run(...parameters.map(bindable)),
    *iterate(parameters) {
      for (const row of statement.iterate(...parameters.map(bindable))) yield { ...row }
    },
  }
}

/** `node:sqlite` binds every number as a REAL; whole ones go as INTEGER, so that `?/2` means the same on both databases. */
function bindable(value: unknown): SQLInputValue {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (value === null || typeof value === 'string' || typeof value === 'bigint' || value instanceof Uint8Array) return value
  throw new AppError('INTERNAL', `a query parameter is of type ${typeof value}; bind text, numbers, bytes or null`)
}
