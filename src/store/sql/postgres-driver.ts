import type { CompiledQuery, DatabaseConnection, Driver, QueryResult, TransactionSettings } from 'kysely'
import { DatabaseError, type Pool, type PoolClient } from 'pg'
import { AppError } from '#lib/errors.ts'
import { isLastQuery } from './last-statement.ts'
import { StatementNames } from './statement-names.ts'

type Answer<R> = { readonly command: string; readonly rowCount: number | null; readonly rows: R[] }
type Question = { readonly text: string; readonly values?: unknown[]; readonly name?: string }

/** What this needs of a client of `pg`. */
interface QueryingClient {
  query<R>(question: Question): Promise<Answer<R>>
  release(): void
}

/** SQLSTATE of a prepared statement whose columns are not those of its table any more: a newer version has migrated it. */
const stalePlan = '0A000'
/** SQLSTATE with which transactions are tried again. */
const serializationFailure = '40001'
const isRead = /^\s*select\b/i
const rowCommands: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/**
 * PostgreSQL for Kysely. Statements that come again are prepared on each connection: to parse and plan them takes more of the server's processor than to run them, short
 * as they are. What is sent while an answer is under way does not wait for it (`pipeline` of the pool): a transaction begins with its first read, and may end
 * with its last write (`withCommit`).
 */
export class PostgresDriver implements Driver {
  readonly #pool: Pool
  readonly #names = new StatementNames()
  readonly #connections = new WeakMap<PoolClient, PostgresConnection>()

  constructor(pool: Pool) {
    this.#pool = pool
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PostgresConnection> {
    const client = await this.#pool.connect()
    const connection = this.#connections.get(client) ?? new PostgresConnection(client, this.#names)
    this.#connections.set(client, connection)
    return connection
  }

  async beginTransaction(connection: PostgresConnection, { isolationLevel, accessMode }: TransactionSettings): Promise<void> {
    const level = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`
    const access = accessMode === undefined ? '' : ` ${accessMode}`
    connection.begin(`begin${level}${access}`)
  }

  async commitTransaction(connection: PostgresConnection): Promise<void> {
    await connection.end('commit')
  }

  async rollbackTransaction(connection: PostgresConnection): Promise<void> {
    await connection.end('rollback')
  }

  async releaseConnection(connection: PostgresConnection): Promise<void> {
    connection.release()
  }

  async destroy(): Promise<void> {
    await this.#pool.end()
  }
}

class PostgresConnection implements DatabaseConnection {
  readonly #client: QueryingClient
  readonly #names: StatementNames
  /** A `begin` that was not yet waited for. */
  #begun: Promise<unknown> | undefined
  #isInTransaction = false

  constructor(client: QueryingClient, names: StatementNames) {
    this.#client = client
    this.#names = names
  }

  begin(text: string): void {
    this.#isInTransaction = true
    this.#begun = this.#client.query({ text })
    // Whoever waits for it next gets its error.
    this.#begun.catch(() => {})
  }

  async end(text: 'commit' | 'rollback'): Promise<void> {
    // It ended with its last statement.
    if (!this.#isInTransaction) return
    await this.#hasBegun()
    await this.#client.query({ text })
    this.#isInTransaction = false
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    // Were `begin` to fail, what goes with it would not be undone: it may only read.
    if (!isRead.test(query.sql)) await this.#hasBegun()
    const begun = this.#hasBegun()
    const asked = this.#ask<R>(query)
    // The server makes a rollback of it when the statement before failed.
    const committed = isLastQuery(query) ? this.#client.query({ text: 'commit' }) : undefined
    // All of them: nobody else gets the connection before its answers are here.
    const [, , ended] = await Promise.allSettled([begun, asked, committed])
    if (committed !== undefined && ended.status === 'fulfilled') this.#isInTransaction = false
    const [answer] = await Promise.all([asked, begun, committed])
    const { command, rowCount, rows } = answer
    return rowCommands.has(command) ? { rows, numAffectedRows: BigInt(rowCount ?? 0) } : { rows }
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new AppError('INTERNAL', 'rows are not streamed from PostgreSQL; read pages of them')
  }

  release(): void {
    this.#client.release()
  }

  async #ask<R>({ sql: text, parameters }: CompiledQuery): Promise<Answer<R>> {
    const values = [...parameters]
    // Without parameters it may be several statements, which cannot be prepared.
    const name = values.length > 0 ? this.#names.nameOf(text) : undefined
    if (name === undefined) return await this.#client.query({ text, values })
    try {
      return await this.#client.query({ name, text, values })
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== stalePlan) throw error
      this.#names.refuse(text)
      if (!this.#isInTransaction) return await this.#client.query({ text, values })
      error.code = serializationFailure
      throw error
    }
  }

  async #hasBegun(): Promise<void> {
    const begun = this.#begun
    this.#begun = undefined
    await begun
  }
}
