import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, type Kysely } from 'kysely'
import { pino } from 'pino'
import { startPostgres, type PostgresServer } from '../../../test/support/postgres.ts'
import { openDatabase } from './database.ts'
import { executeLast } from './last-statement.ts'
import type { Database, Schema } from './schema.ts'

let server: PostgresServer
before(async () => {
  server = await startPostgres()
})
after(() => server[Symbol.asyncDispose]())

async function open(): Promise<Database> {
  const database = await openDatabase({ url: await server.createEmptyDatabase(), log: pino({ level: 'silent' }) })
  await sql`create table notes (id integer primary key, text text not null)`.execute(database.db)
  return database
}

const insert = (id: number) => sql`insert into notes (id, text) values (${id}, 'x')`
const select = (id: number) => sql<Record<string, unknown>>`select * from notes where id = ${id}`

async function ids(db: Kysely<Schema>): Promise<number[]> {
  return (await sql<{ id: number }>`select id from notes order by id`.execute(db)).rows.map(({ id }) => id)
}

test('a statement that was prepared goes on when its table gets a column', async () => {
  await using database = await open()
  const { db } = database
  await insert(1).execute(db)
  for (let n = 0; n < 3; n++) assert.deepEqual((await select(1).execute(db)).rows, [{ id: 1, text: 'x' }])
  await sql`alter table notes add column more integer`.execute(db)
  assert.deepEqual((await select(1).execute(db)).rows, [{ id: 1, text: 'x', more: null }])
})

test('within a transaction it is a fault after which the transaction may be tried again', async () => {
  await using database = await open()
  const { db } = database
  for (let n = 0; n < 3; n++) await select(1).execute(db)
  await sql`alter table notes add column more integer`.execute(db)
  const readAndWrite = () => {
    return db.transaction().execute(async (transaction) => {
      await insert(1).execute(transaction)
      return (await select(1).execute(transaction)).rows
    })
  }
  await assert.rejects(readAndWrite(), { code: '40001' })
  assert.deepEqual(await ids(db), [])
  assert.deepEqual(await readAndWrite(), [{ id: 1, text: 'x', more: null }])
})

test('the last statement of a transaction commits it', async () => {
  await using database = await open()
  const { db } = database
  await db.transaction().execute(async (transaction) => {
    await insert(1).execute(transaction)
    await executeLast(transaction, insert(2))
    assert.deepEqual(await ids(db), [1, 2])
  })
  assert.deepEqual(await ids(db), [1, 2])
})

test('a last statement that fails takes the transaction with it, and the connection goes on', async () => {
  await using database = await open()
  const { db } = database
  const failing = db.transaction().execute(async (transaction) => {
    await insert(1).execute(transaction)
    await executeLast(transaction, insert(1))
  })
  await assert.rejects(failing, { code: '23505' })
  assert.deepEqual(await ids(db), [])
  await db.transaction().execute(async (transaction) => {
    await insert(3).execute(transaction)
  })
  assert.deepEqual(await ids(db), [3])
})

test('a transaction that throws after its first read is undone', async () => {
  await using database = await open()
  const { db } = database
  const failing = db.transaction().execute(async (transaction) => {
    await select(1).execute(transaction)
    await insert(1).execute(transaction)
    throw new Error('no more')
  })
  await assert.rejects(failing, /no more/)
  await assert.rejects(
    db.transaction().execute(async () => {
      throw new Error('nothing was asked')
    }),
    /nothing was asked/,
  )
  assert.deepEqual(await ids(db), [])
})
