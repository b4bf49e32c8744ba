import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sql, type Kysely } from 'kysely'
import { pino } from 'pino'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { openDatabase } from '#store/sql/database.ts'
import { loadDatabaseBytes } from '#store/sql/database-size.ts'
import type { Schema } from '#store/sql/schema.ts'

const run = promisify(execFile)
const log = pino({ level: 'silent' })

const allSteps = [
  { id: 1, name: 'streams-and-recordings' },
  { id: 2, name: 'event-log' },
  { id: 3, name: 'jobs' },
  { id: 4, name: 'recording-archive' },
  { id: 5, name: 'api-keys' },
  { id: 6, name: 'job-traces' },
]
/** A row of the step before the last. */
const job = {
  id: 'job',
  tenant: 'kept',
  scenario: 'small',
  queue: 'default',
  priority: 'medium',
  state: 'queued',
  generation: 1,
  is_cancel_requested: 0,
  created_at_ms: 1,
  task_count: 0,
  done_count: 0,
  leased_count: 0,
  frames: 5_000_000_000,
  total_frames: 6_000_000_000,
} as const

/** As the database was before the last step. */
async function takeBackLastStep(db: Kysely<Schema>): Promise<void> {
  await db.schema.alterTable('jobs').dropColumn('traceparent').execute()
  await sql`delete from schema_migrations where id = ${allSteps.length}`.execute(db)
}

async function insertJob(db: Kysely<Schema>): Promise<void> {
  const columns = sql.join(Object.keys(job).map((column) => sql.ref(column)))
  await sql`insert into jobs (${columns}) values (${sql.join(Object.values(job))})`.execute(db)
}

/** What the suite needs of an implementation. */
export interface SqlServer extends AsyncDisposable {
  /** The URL of a new database with nothing in it. */
  createEmptyDatabase(): Promise<string>
  /** Makes the database fail until the result is disposed of. */
  takeAway(url: string): Promise<AsyncDisposable>
  /** A URL where no database can be. */
  readonly deadUrl: string
  /** Transactions that one opener can have at once. */
  readonly transactionCount: number
  /** A short wait that still suffices to connect on a busy machine. */
  readonly waitTimeoutMs: number
}

/** What holds for every database under Millrace. */
export function sqlSuite(name: string, start: () => Promise<SqlServer>): void {
  describe(name, () => {
    let server: SqlServer
    before(async () => {
      server = await start()
    })
    after(() => server[Symbol.asyncDispose]())
    const open = async (options: { url?: string; waitTimeoutMs?: number } = {}) => {
      return await openDatabase({ log, url: options.url ?? (await server.createEmptyDatabase()), ...options })
    }

    test('an empty database is migrated, and opening it again changes nothing', async () => {
      const url = await server.createEmptyDatabase()
      {
        await using first = await open({ url })
        await insertStream(first.db, 'kept')
      }
      await using second = await open({ url })
      assert.deepEqual(await names(second.db), ['kept'])
      assert.deepEqual(await steps(second.db), allSteps)
    })

    test('a database of the step before is migrated, and keeps what it holds', async () => {
      const url = await server.createEmptyDatabase()
      {
        await using before = await open({ url })
        await insertStream(before.db, 'kept')
        await takeBackLastStep(before.db)
        await insertJob(before.db)
      }
      await using database = await open({ url })
      assert.deepEqual(await names(database.db), ['kept'])
      assert.deepEqual(await steps(database.db), allSteps)
      const [found] = await database.db.selectFrom('jobs').selectAll().execute()
      assert.partialDeepStrictEqual(found, { ...job, traceparent: null })
    })

    test('its size is told in bytes, and grows', async () => {
      await using database = await open({ url: await server.createEmptyDatabase() })
      const before = await loadDatabaseBytes(database)
      assert.ok(before > 10_000, `${before} bytes`)
      for (let row = 0; row < 200; row++) await insertStream(database.db, `stream-${row}-${'x'.repeat(1000)}`)
      const after = await loadDatabaseBytes(database)
      assert.ok(after > before + 100_000, `${before} to ${after} bytes`)
    })

    test('three processes that open an empty database at once all succeed, and each step runs once', async () => {
      const url = await server.createEmptyDatabase()
      const script = fileURLToPath(new URL('open-database.ts', import.meta.url))
      await Promise.all([1, 2, 3].map((id) => run(process.execPath, [script, url, `from-${id}`])))
      await using database = await open({ url })
      assert.deepEqual(await names(database.db), ['from-1', 'from-2', 'from-3'])
      assert.deepEqual(await steps(database.db), allSteps)
    })

    test('a database of a newer version is refused and left as it is', async () => {
      const url = await server.createEmptyDatabase()
      {
        await using database = await open({ url })
        await sql`insert into schema_migrations (id, name, applied_at) values (9999, 'of-tomorrow', 'x')`.execute(database.db)
      }
      await assert.rejects(open({ url }), hasCode('DATABASE_NEWER', /9999 "of-tomorrow"/))
      await assert.rejects(open({ url }), hasCode('DATABASE_NEWER'))
    })

    test('a transaction that throws leaves nothing behind', async () => {
      await using database = await open()
      const failing = database.db.transaction().execute(async (trx) => {
        await insertStream(trx, 'lost')
        assert.deepEqual(await names(trx), ['lost'])
        throw new Error('on purpose')
      })
      await assert.rejects(failing, /on purpose/)
      assert.deepEqual(await names(database.db), [])
    })

    test('transactions at once do not see each other half done', async () => {
      await using database = await open()
      const pair = (id: number) =>
        database.db.transaction().execute(async (trx) => {
          await insertStream(trx, `first-${id}`)
          await insertStream(trx, `second-${id}`)
        })
      const look = async () => (await names(database.db)).length % 2
      const ids = Array.from({ length: 30 }, (_, id) => id)
      const [, looks] = await Promise.all([Promise.all(ids.map(pair)), Promise.all(ids.map(look))])
      assert.deepEqual(new Set(looks), new Set([0]))
      assert.equal((await names(database.db)).length, 60)
    })

    test('two openers write at once without failing', async () => {
      const url = await server.createEmptyDatabase()
      await using one = await open({ url })
      await using two = await open({ url })
      const ids = Array.from({ length: 40 }, (_, id) => `stream-${id}`)
      const write = (db: Kysely<Schema>, prefix: string) =>
        ids.map((id) => db.transaction().execute((trx) => insertStream(trx, `${prefix}-${id}`)))
      await Promise.all([...write(one.db, 'one'), ...write(two.db, 'two')])
      assert.equal((await names(one.db)).length, 80)
    })

    test('64-bit numbers, counts and sums come back as numbers', async () => {
      await using database = await open()
      const db = await withFiles(database.db)
      const max = Number.MAX_SAFE_INTEGER
      await db
        .insertInto('files')
        .values([
          { id: 'a', size_bytes: max - 1 },
          { id: 'b', size_bytes: 1 },
        ])
        .execute()
      const row = await db
        .selectFrom('files')
        .select(({ fn }) => [fn.countAll().as('count'), fn.sum('size_bytes').as('sum'), fn.max('size_bytes').as('largest')])
        .executeTakeFirstOrThrow()
      assert.deepEqual(row, { count: 2, sum: max, largest: max - 1 })
      const rows = await db.selectFrom('files').selectAll().orderBy('id').execute()
      assert.deepEqual(rows, [
        { id: 'a', size_bytes: max - 1 },
        { id: 'b', size_bytes: 1 },
      ])
    })

    test('a number above 2^53 is refused, not rounded', async () => {
      await using database = await open()
      const db = await withFiles(database.db)
      await sql`insert into files (id, size_bytes) values ('a', 9007199254740993)`.execute(db)
      await assert.rejects(db.selectFrom('files').selectAll().execute(), /9007199254740993/)
      assert.deepEqual(await db.selectFrom('files').select('id').execute(), [{ id: 'a' }])
    })

    test('whole numbers divide as whole numbers', async () => {
      await using database = await open()
      const db = await withFiles(database.db)
      await db.insertInto('files').values({ id: 'a', size_bytes: 7 }).execute()
      const halves = await db
        .selectFrom('files')
        .select(({ eb }) => eb('size_bytes', '/', 2).as('half'))
        .execute()
      assert.deepEqual(halves, [{ half: 3 }])
    })

    test('an update says how many rows it changed', async () => {
      await using database = await open()
      const db = await withFiles(database.db)
      await db
        .insertInto('files')
        .values([
          { id: 'a', size_bytes: 1 },
          { id: 'b', size_bytes: 2 },
        ])
        .execute()
      const [updated] = await db.updateTable('files').set({ size_bytes: 0 }).execute()
      assert.equal(updated?.numUpdatedRows, 2n)
      const [deleted] = await db.deleteFrom('files').where('id', '=', 'c').execute()
      assert.equal(deleted?.numDeletedRows, 0n)
      const returned = await db.deleteFrom('files').where('id', '=', 'a').returning('size_bytes').execute()
      assert.deepEqual(returned, [{ size_bytes: 0 }])
    })

    test('text comes back as it went in', async () => {
      await using database = await open()
      const text = JSON.stringify({ text: 'é漢😀 "quoted" \'single\' \\ back\nline\u2028 ; -- $1 ? :name', nested: [1, null] })
      await insertStream(database.db, 'a', text)
      const row = await database.db.selectFrom('streams').select('spec').executeTakeFirstOrThrow()
      assert.equal(row.spec, text)
    })

    test('keys are ordered by their bytes', async () => {
      await using database = await open()
      const ordered = ['-a', 'B', 'a', 'a-b', 'a.b', 'a/b', 'aB', 'ab', 'b', 'ä', '\uFF5E', '😀']
      for (const key of ordered.toReversed()) await insertStream(database.db, key)
      assert.deepEqual(await names(database.db), ordered)
      const rest = await database.db.selectFrom('streams').select('name').where('name', '>', 'a/b').orderBy('name').execute()
      assert.deepEqual(
        rest.map((row) => row.name),
        ordered.slice(6),
      )
    })

    test('a violated constraint fails that query only', async () => {
      await using database = await open()
      await insertStream(database.db, 'a')
      await assert.rejects(
        insertStream(database.db, 'a'),
        (error) => !(error instanceof AppError) && /unique/i.test(String(error)),
      )
      assert.deepEqual(await names(database.db), ['a'])
    })

    test('a database that goes away is a coded error, and queries work again when it is back', async () => {
      const { waitTimeoutMs } = server
      const url = await server.createEmptyDatabase()
      await using database = await open({ url, waitTimeoutMs })
      await insertStream(database.db, 'before')
      {
        await using _away = await server.takeAway(url)
        await assert.rejects(insertStream(database.db, 'during'), hasCode('DATABASE_UNAVAILABLE'))
        const transaction = database.db.transaction().execute((trx) => insertStream(trx, 'during'))
        await assert.rejects(transaction, hasCode('DATABASE_UNAVAILABLE'))
        await assert.rejects(open({ url, waitTimeoutMs }), hasCode('DATABASE_UNAVAILABLE'))
      }
      await insertStream(database.db, 'later')
      assert.deepEqual(await names(database.db), ['before', 'later'])
    })

    test('a connection that others keep is waited for only so long', async () => {
      const { waitTimeoutMs } = server
      await using database = await open({ waitTimeoutMs })
      const held = []
      for (let i = 0; i < server.transactionCount; i++) held.push(await database.db.startTransaction().execute())
      await assert.rejects(names(database.db), hasCode('DATABASE_UNAVAILABLE'))
      for (const transaction of held) await transaction.rollback().execute()
      assert.deepEqual(await names(database.db), [])
    })

    test('no database where the URL points is a coded error', async () => {
      await assert.rejects(open({ url: server.deadUrl, waitTimeoutMs: server.waitTimeoutMs }), hasCode('DATABASE_UNAVAILABLE'))
    })

    test('closing twice is closing once', async () => {
      const database = await open()
      await database[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    })
  })
}

function hasCode(code: ErrorCode, message = /./): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof AppError, `not coded: ${String(error)}`)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }
}

async function insertStream(db: Kysely<Schema>, name: string, spec = '{}'): Promise<void> {
  await db.insertInto('streams').values({ name, spec, is_declared: 1, created_at_ms: 1, updated_at_ms: 1 }).execute()
}

async function names(db: Kysely<Schema>): Promise<string[]> {
  const rows = await db.selectFrom('streams').select('name').orderBy('name').execute()
  return rows.map((row) => row.name)
}

async function steps(db: Kysely<Schema>): Promise<unknown[]> {
  return (await sql`select id, name from schema_migrations order by id`.execute(db)).rows
}

type WithFiles = Schema & { files: { id: string; size_bytes: number } }

/** A table of the suite's own. */
async function withFiles(db: Kysely<Schema>): Promise<Kysely<WithFiles>> {
  await db.schema.createTable('files').addColumn('id', 'text').addColumn('size_bytes', 'bigint').execute()
  return db.withTables<WithFiles>()
}
