import assert from 'node:assert/strict'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { sql } from 'kysely'
import { pino } from 'pino'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { openDatabase, sqliteUrl } from './database.ts'

const log = pino({ level: 'silent' })

for (const url of [
  '',
  'millrace.sqlite',
  'sqlite:',
  'sqlite://',
  'sqlite:///',
  'sqlite://relative/path',
  'mysql://host/x',
  'postgres:x',
]) {
  test(`the URL ${JSON.stringify(url)} is refused`, async () => {
    await assert.rejects(openDatabase({ url, log }), { code: 'CONFIG_INVALID' })
  })
}

test('a refused URL is shown without its password', async () => {
  const opened = openDatabase({ url: 'mysql://me:hush@host/x', log })
  await assert.rejects(opened, (error) => !String(error).includes('hush'))
})

test('a database in memory is migrated too', async () => {
  await using database = await openDatabase({ url: 'sqlite::memory:', log })
  assert.equal(database.dialect, 'sqlite')
  assert.deepEqual(await database.db.selectFrom('streams').selectAll().execute(), [])
})

test('the file is for its owner only, in WAL mode, and every commit is synced', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'a', 'b.sqlite')
  await using database = await openDatabase({ url: sqliteUrl(path), log })
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(`${path}-wal`)).mode & 0o777, 0o600)
  const pragma = async (name: string) => (await sql.raw(`pragma ${name}`).execute(database.db)).rows
  assert.deepEqual(await pragma('journal_mode'), [{ journal_mode: 'wal' }])
  assert.deepEqual(await pragma('synchronous'), [{ synchronous: 2 }])
  assert.deepEqual(await pragma('foreign_keys'), [{ foreign_keys: 1 }])
})

test('a file that is no database is refused and kept', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'notes.txt')
  await writeFile(path, 'dear diary, this is not a database '.repeat(100))
  const opened = openDatabase({ url: sqliteUrl(path), log })
  await assert.rejects(opened, { code: 'DATABASE_UNAVAILABLE', message: /is no SQLite database/ })
  assert.equal((await stat(path)).size, 3500)
})

test('the program goes on while another process keeps the lock', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'a.sqlite')
  await using database = await openDatabase({ url: sqliteUrl(path), log })
  using other = new DatabaseSync(path)
  other.exec('begin immediate')
  let isDone = false
  const write = sql`update streams set spec = ''`.execute(database.db).then(() => (isDone = true))
  let longestTurnMs = 0
  for (const startedAt = performance.now(); performance.now() - startedAt < 300;) {
    const turnAt = performance.now()
    await nextTurn()
    longestTurnMs = Math.max(longestTurnMs, performance.now() - turnAt)
  }
  assert(!isDone)
  assert(longestTurnMs < 150, `the thread was blocked for ${longestTurnMs} ms`)
  other.exec('commit')
  await write
})

test('more statements than the cache holds still run', async () => {
  await using database = await openDatabase({ url: 'sqlite::memory:', log })
  for (const round of [1, 2]) {
    for (let i = 0; i < 300; i++) {
      const { rows } = await sql`select ${sql.lit(i)} as i, ${round} as round`.execute(database.db)
      assert.deepEqual(rows, [{ i, round }])
    }
  }
})

test('rows can be streamed', async () => {
  await using database = await openDatabase({ url: 'sqlite::memory:', log })
  for (const name of ['a', 'b', 'c']) {
    await database.db
      .insertInto('streams')
      .values({ name, spec: '{}', is_declared: 1, created_at_ms: 1, updated_at_ms: 1 })
      .execute()
  }
  const names = database.db.selectFrom('streams').select('name').orderBy('name').stream()
  assert.deepEqual(await Array.fromAsync(names), [{ name: 'a' }, { name: 'b' }, { name: 'c' }])
})
