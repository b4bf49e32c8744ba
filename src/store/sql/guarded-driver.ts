import type { CompiledQuery, DatabaseConnection, Driver, QueryResult, TransactionSettings } from 'kysely'

/** Runs one step on a database; retries it or turns what it throws into a coded error. */
export type Guard = <T>(step: () => Promise<T>) => Promise<T>

/** A Kysely driver with a guard around every step of it: what a database throws leaves the store as a coded error where it has a code. */
export class GuardedDriver implements Driver {
  readonly #inner: Driver
  readonly #guard: Guard

  constructor(inner: Driver, guard: Guard) {
    this.#inner = inner
    this.#guard = guard
  }

  init(): Promise<void> {
    return this.#guard(() => this.#inner.init())
  }
  async acquireConnection(): Promise<GuardedConnection> {
    return new GuardedConnection(await this.#guard(() => this.#inner.acquireConnection()), this.#guard)
  }
  beginTransaction(connection: GuardedConnection, settings: TransactionSettings): Promise<void> {
    return this.#guard(() => this.#inner.beginTransaction(connection.inner, settings))
  }
  commitTransaction({ inner }: GuardedConnection): Promise<void> {
    return this.#guard(() => this.#inner.commitTransaction(inner))
  }
  rollbackTransaction({ inner }: GuardedConnection): Promise<void> {
    return this.#guard(() => this.#inner.rollbackTransaction(inner))
  }
  releaseConnection({ inner }: GuardedConnection): Promise<void> {
    return this.#inner.releaseConnection(inner)
  }
  destroy(): Promise<void> {
    return this.#inner.destroy()
  }
}

export class GuardedConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection
  readonly #guard: Guard

  constructor(inner: DatabaseConnection, guard: Guard) {
    this.inner = inner
    this.#guard = guard
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.#guard(() => this.inner.executeQuery<R>(query))
  }

  async *streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    const rows = this.inner.streamQuery<R>(query, chunkSize)
    try {
      for (;;) {
        const next = await this.#guard(() => rows.next())
        if (next.done) return
        yield next.value
      }
    } finally {
      await rows.return?.()
    }
  }
}
