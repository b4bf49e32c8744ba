import { sql } from 'kysely'
import type { Clock } from '#lib/clock.ts'
import { Backoff } from '#lib/backoff.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { Database } from '#store/sql/schema.ts'

/**
 * Tells every node that tasks became ready. Hints may be lost and may come twice: whoever waits for work also looks for it now and then.
 */
export interface JobHints extends AsyncDisposable {
  /** Calls the listeners of this process at once, those of others soon. */
  announce(readyCount: number): void
}

type Listener = (readyCount: number) => void

/** For a database that only this process has. */
export function localHints(onReady: Listener): JobHints {
  return { announce: onReady, [Symbol.asyncDispose]: async () => {} }
}

/** A connection that hears notifications. `pg`'s client fits. */
interface ListeningClient {
  connect(): Promise<unknown>
  query(text: string): Promise<unknown>
  end(): Promise<void>
  on(event: 'notification', listener: (message: { payload?: string | undefined }) => void): unknown
  on(event: 'error' | 'end', listener: (error?: Error) => void): unknown
}

type HintsOptions = {
  readonly database: Database
  /** Of the database. */
  readonly url: string
  /** Tells the hints of this process from those of others. */
  readonly nodeId: string
  readonly timers: Timers
  readonly clock: Clock
  readonly log: Logger
}

/** Hints between all who use a database. `pg` is loaded only where it is needed. */
export async function jobHints({ url, ...options }: HintsOptions): Promise<(onReady: Listener) => JobHints> {
  if (options.database.dialect === 'sqlite') return localHints
  const { Client } = await import('pg')
  const connect = () => {
    return new Client({
      connectionString: url,
      application_name: 'millrace hints',
      keepAlive: true,
      connectionTimeoutMillis: connectMs,
    })
  }
  return (onReady) => new PostgresHints({ ...options, connect, onReady })
}

type PostgresHintsOptions = {
  readonly database: Pick<Database, 'db'>
  /** Another connection to the same database. */
  readonly connect: () => ListeningClient
  readonly onReady: Listener
  /** Tells the hints of this process from those of others. */
  readonly nodeId: string
  readonly timers: Timers
  readonly clock: Clock
  readonly log: Logger
}

const channel = 'millrace_jobs'
/** NOTIFY takes a lock over all commits of the database: one in this time at most, however many tasks become ready. */
const debounceMs = 30
const connectMs = 10_000
/** A server that went away without a word is not waited for. */
const goodbyeMs = 1_000

/** LISTEN and NOTIFY of PostgreSQL, on a connection of its own, which is made again when it breaks. */
export class PostgresHints implements JobHints {
  readonly #options: PostgresHintsOptions
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 10_000 })
  #client: ListeningClient | undefined
  #timer: Disposable | undefined
  #retry: Disposable | undefined
  #readyCount = 0
  #notifiedAtMs = -Infinity
  #sending: Promise<void> | undefined
  #isClosed = false

  constructor(options: PostgresHintsOptions) {
    this.#options = options
    void this.#listen()
  }

  /** Whether hints of others arrive. */
  get isListening(): boolean {
    return this.#client !== undefined
  }

  announce(readyCount: number): void {
    this.#options.onReady(readyCount)
    this.#readyCount += readyCount
    if (this.#timer !== undefined || this.#isClosed) return
    const { timers, clock } = this.#options
    const waitMs = Math.max(0, this.#notifiedAtMs + debounceMs - clock.monotonicMs())
    this.#timer = timers.after(waitMs, () => {
      this.#sending = this.#notify()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#timer?.[Symbol.dispose]()
    this.#retry?.[Symbol.dispose]()
    await this.#sending
    const client = this.#client
    this.#client = undefined
    if (client !== undefined) await this.#leave(client)
  }

  async #notify(): Promise<void> {
    const { database, clock, log, nodeId } = this.#options
    const message = `${this.#readyCount} ${nodeId}`
    this.#timer = undefined
    this.#readyCount = 0
    this.#notifiedAtMs = clock.monotonicMs()
    try {
      await sql`select pg_notify(${channel}, ${message})`.execute(database.db)
    } catch (error) {
      log.debug({ code: toAppError(error).code }, 'hint lost; other nodes look for work by themselves')
    }
  }

  async #listen(): Promise<void> {
    const { connect, log } = this.#options
    const client = connect()
    const broken = new AbortController()
    const onBroken = (): void => {
      if (broken.signal.aborted) return
      broken.abort()
      if (this.#client === client) this.#client = undefined
      // It may hold a half-open socket; what it says to that is of no interest.
      client.end().catch(() => {})
      this.#listenLater()
    }
    client.on('error', onBroken)
    client.on('end', onBroken)
    client.on('notification', ({ payload = '' }) => this.#hear(payload))
    try {
      await client.connect()
      await client.query(`listen ${channel}`)
    } catch (error) {
      log.debug({ reason: toAppError(error).message }, 'hints of other nodes cannot be heard; trying again')
      onBroken()
      return
    }
    if (this.#isClosed) await this.#leave(client)
    else if (!broken.signal.aborted) this.#client = client
    this.#backoff.reset()
  }

  async #leave(client: ListeningClient): Promise<void> {
    const { promise: late, resolve: giveUp } = Promise.withResolvers<void>()
    using _timer = this.#options.timers.after(goodbyeMs, giveUp)
    await Promise.race([client.end(), late])
  }

  #listenLater(): void {
    if (this.#isClosed) return
    this.#retry = this.#options.timers.after(this.#backoff.nextMs(), () => void this.#listen())
  }

  #hear(payload: string): void {
    const [, count, nodeId] = /^(\d{1,9}) (.+)$/.exec(payload) ?? []
    if (count === undefined || nodeId === this.#options.nodeId || this.#isClosed) return
    this.#options.onReady(Number(count))
  }
}
