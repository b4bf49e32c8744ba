import assert from 'node:assert/strict'
import { existsSync, globSync } from 'node:fs'
import { truncate } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import { systemClock } from '#lib/clock.ts'
import { loadSettings } from '#roles/settings.ts'
import { backupTools, type BackupTools } from '#roles/backup-tools.ts'
import { openDatabase } from '#store/sql/database.ts'
import { ensureProgram } from '../support/ensure-program.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'

const log = pino({ level: 'silent' })
const { signal } = new AbortController()

/** Where Debian's `postgresql` is: the server and the tools of its version. */
async function ensurePostgres(): Promise<string> {
  await ensureProgram({ command: 'pg_dump', debianPackage: 'postgresql' })
  const found = globSync('/usr/lib/postgresql/*').findLast((path) => existsSync(join(path, 'bin', 'initdb')))
  return found ?? assert.fail('there is pg_dump, but no server of PostgreSQL; install the Debian package postgresql')
}

async function toolsFor(url: string, directory: string): Promise<BackupTools> {
  const loaded = await loadSettings({ environment: { DATABASE_URL: url, MILLRACE_SERVER_DATA_DIRECTORY: directory } })
  return backupTools(loaded, systemClock)
}

async function addStream(url: string, name: string): Promise<void> {
  await using database = await openDatabase({ url, log })
  await database.db
    .insertInto('streams')
    .values({ name, spec: '{}', is_declared: 1, created_at_ms: 1, updated_at_ms: 1 })
    .execute()
}

async function streamNames(url: string): Promise<string[]> {
  await using database = await openDatabase({ url, log })
  const rows = await database.db.selectFrom('streams').select('name').orderBy('name').execute()
  return rows.map(({ name }) => name)
}

suite('backups of PostgreSQL', () => {
  const path = process.env['PATH']
  let server: PostgresServer

  before(async () => {
    const installed = await ensurePostgres()
    process.env['PATH'] = [join(installed, 'bin'), path].join(delimiter)
    server = await startPostgres({ installed })
  })
  after(async () => {
    process.env['PATH'] = path
    await server[Symbol.asyncDispose]()
  })

  test('what was dumped comes back, and what it replaces is kept', async () => {
    await using directory = await temporaryDirectory()
    const url = await server.createDatabase()
    const tools = await toolsFor(url, directory.path)
    await addStream(url, 'before')
    const backup = await tools.create(signal)
    assert.deepEqual(backup.manifest.migrations.slice(0, 2), [
      { id: 1, name: 'streams-and-recordings' },
      { id: 2, name: 'event-log' },
    ])
    await tools.verify(backup, signal)
    await addStream(url, 'later')
    const { aside = '' } = await tools.restore(backup, signal)
    assert.deepEqual(await streamNames(url), ['before'])
    await addStream(url, 'after')
    await using database = await openDatabase({ url, log })
    const kept = await sql<{
      name: string
    }>`select name from ${sql.id(aside.replace('schema ', ''), 'streams')} order by name`.execute(database.db)
    assert.deepEqual(
      kept.rows.map(({ name }) => name),
      ['before', 'later'],
    )
  })

  test('it goes into an empty database too', async () => {
    await using directory = await temporaryDirectory()
    const [from, to] = [await server.createDatabase(), await server.createEmptyDatabase()]
    await addStream(from, 'a')
    const backup = await (await toolsFor(from, directory.path)).create(signal)
    await (await toolsFor(to, directory.path)).restore(backup, signal)
    assert.deepEqual(await streamNames(to), ['a'])
  })

  test('nothing is restored while a server is connected', async () => {
    await using directory = await temporaryDirectory()
    const url = await server.createDatabase()
    const tools = await toolsFor(url, directory.path)
    const backup = await tools.create(signal)
    await using database = await openDatabase({ url, log })
    await database.db.selectFrom('streams').select('name').execute()
    await assert.rejects(tools.restore(backup, signal), { code: 'DATABASE_IN_USE' })
  })

  test('a dump that ends too early is found, and one that fails in its middle changes nothing', async () => {
    await using directory = await temporaryDirectory()
    const url = await server.createDatabase()
    const tools = await toolsFor(url, directory.path)
    await addStream(url, 'here')
    const backup = await tools.create(signal)
    await truncate(backup.path, Math.floor(backup.manifest.sizeBytes / 2))
    await assert.rejects(tools.verify(backup, signal), { code: 'BACKUP_DAMAGED' })
    await assert.rejects(tools.restore(backup, signal), { code: 'BACKUP_DAMAGED' })
    const { restorePostgres } = await import('#ops/backup/postgres-tools.ts')
    await assert.rejects(restorePostgres({ url, source: backup.path, aside: 'old' }, signal), { code: 'BACKUP_TOOL_FAILED' })
    assert.deepEqual(await streamNames(url), ['here'])
  })

  test('without the tools it says what to install', async () => {
    await using directory = await temporaryDirectory()
    const url = await server.createDatabase()
    const tools = await toolsFor(url, directory.path)
    const found = process.env['PATH']
    process.env['PATH'] = directory.path
    try {
      await assert.rejects(tools.create(signal), { code: 'BACKUP_TOOL_MISSING', message: /^pg_dump is not on the path; install/ })
    } finally {
      process.env['PATH'] = found
    }
    assert.deepEqual(await tools.list(), [])
  })
})
