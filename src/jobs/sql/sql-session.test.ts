import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { openDatabase } from '#store/sql/database.ts'
import { startPostgres, type PostgresServer } from '../../../test/support/postgres.ts'
import { inTransaction, loadNowMs, type Session } from './sql-session.ts'

let server: PostgresServer
before(async () => {
  server = await startPostgres()
})
after(() => server[Symbol.asyncDispose]())

async function open(url: string) {
  return await openDatabase({ url, log: pino({ level: 'silent' }) })
}

test('of two transactions that wait for each other the one that PostgreSQL ends is tried again', async () => {
  await using database = await open(await server.createDatabase())
  for (const name of ['a', 'b']) {
    await database.db.insertInto('scenarios').values({ name, spec: '0', created_at_ms: 0, updated_at_ms: 0 }).execute()
  }
  let tries = 0
  let held = 0
  const bothHaveOne = Promise.withResolvers<void>()
  const count = async ({ db }: Session, name: string) => {
    await db
      .updateTable('scenarios')
      .set(({ eb }) => ({ updated_at_ms: eb('updated_at_ms', '+', 1) }))
      .where('name', '=', name)
      .execute()
  }
  const run = async (names: readonly [string, string]) => {
    await inTransaction(database, async (session) => {
      tries += 1
      await count(session, names[0])
      held += 1
      if (held === 2) bothHaveOne.resolve()
      await bothHaveOne.promise
      await count(session, names[1])
    })
  }
  await Promise.all([run(['a', 'b']), run(['b', 'a'])])
  assert.equal(tries, 3)
  const rows = await database.db.selectFrom('scenarios').select('updated_at_ms').execute()
  assert.deepEqual(rows, [{ updated_at_ms: 2 }, { updated_at_ms: 2 }])
})

test('other faults are thrown at once', async () => {
  await using database = await open('sqlite::memory:')
  let tries = 0
  const failing = inTransaction(database, async () => {
    tries += 1
    throw new Error('on purpose')
  })
  await assert.rejects(failing, /on purpose/)
  assert.equal(tries, 1)
})

test('the time of both databases is whole milliseconds since the epoch', async () => {
  for (const url of ['sqlite::memory:', await server.createDatabase()]) {
    await using database = await open(url)
    const before = Date.now() - 1000
    const now = await loadNowMs(database)
    assert(Number.isInteger(now))
    assert(now > before && now < before + 60_000)
  }
})
