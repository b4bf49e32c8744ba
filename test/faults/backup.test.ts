import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { pino } from 'pino'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import { runCommand, startCommand, type CommandOutcome } from '../support/command-line.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { TestApi } from '../support/test-api.ts'
import { until } from '../support/until.ts'

/** Enough that a copy takes long enough to be met in its middle. */
const fillerBytes = 150_000_000
const nowhere = { url: 'http://127.0.0.1:1' }

function backup(data: string, ...argv: readonly string[]): Promise<CommandOutcome> {
  return runCommand(nowhere, ['backup', ...argv, '--data', data])
}

/** Makes the database of a data directory large before a server opens it. */
async function fill(data: string): Promise<void> {
  const path = join(data, 'millrace.sqlite')
  await using _migrated = await openDatabase({ url: sqliteUrl(path), log: pino({ level: 'silent' }) })
  using database = new DatabaseSync(path)
  database.exec('create table filler (bytes blob)')
  const insert = database.prepare('insert into filler values (randomblob(1000000))')
  for (let bytes = 0; bytes < fillerBytes; bytes += 1_000_000) insert.run()
}

/** Makes streams one after the other until told to stop. */
function startWriting(millrace: Millrace) {
  const stop = new AbortController()
  const api = new TestApi(millrace)
  const counts = { written: 0, slowestMs: 0 }
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const startedAt = performance.now()
      await api.create({ name: nameOf(counts.written) })
      counts.written += 1
      counts.slowestMs = Math.max(counts.slowestMs, performance.now() - startedAt)
    }
  }
  const running = run()
  return {
    counts,
    async stop() {
      stop.abort()
      await running
    },
  }
}

function nameOf(index: number): string {
  return `s${String(index).padStart(6, '0')}`
}

function namesIn(path: string): string[] {
  using database = new DatabaseSync(path, { readOnly: true })
  return database
    .prepare('select name from streams order by name')
    .all()
    .map(({ name }) => String(name))
}

function partsIn(data: string): string[] {
  try {
    return readdirSync(join(data, 'backups')).filter((name) => name.includes('.part'))
  } catch {
    return []
  }
}

test('a backup beside a server that writes is whole, and another server starts from it', async (t) => {
  await using millrace = await startMillrace()
  showOutputOnFailure(t, millrace)
  await millrace.kill('SIGTERM')
  const data = join(millrace.directory, 'data')
  await fill(data)
  await millrace.start()
  const writing = startWriting(millrace)
  await until(() => writing.counts.written > 10, { what: 'some streams' })
  const before = writing.counts.written
  const made = await backup(data, 'create', '--json')
  const later = writing.counts.written
  await writing.stop()
  assert.equal(made.code, 0, made.errors)
  assert.ok(later > before, 'the server went on answering')
  t.diagnostic(`${later - before} streams made meanwhile, the slowest in ${Math.round(writing.counts.slowestMs)} ms`)
  const { path }: { path: string } = JSON.parse(made.output)

  await using other = await startMillrace()
  showOutputOnFailure(t, other)
  const otherData = join(other.directory, 'data')
  const refused = await backup(otherData, 'restore', path)
  assert.equal(refused.code, 1)
  assert.match(refused.errors, /^error DATABASE_IN_USE: a server or another program uses /)
  await other.kill('SIGTERM')
  const restored = await backup(otherData, 'restore', path)
  assert.equal(restored.code, 0, restored.errors)
  assert.match(restored.output, /^Restored .*\nThe old database is kept as .*millrace\.sqlite\.before-restore-\w+\.\n$/)
  const names = namesIn(join(otherData, 'millrace.sqlite'))
  assert.ok(names.length >= before && names.length <= later + 1, `${before} <= ${names.length} <= ${later}`)
  assert.deepEqual(
    names,
    names.map((_, index) => nameOf(index)),
    'one moment: none is missing between others',
  )
  await other.start()
  assert.equal((await new TestApi(other).stream(nameOf(before - 1))).name, nameOf(before - 1))
  const [aside = ''] = readdirSync(otherData).filter((name) => name.includes('before-restore'))
  assert.deepEqual(namesIn(join(otherData, aside)), [])
})

test('a backup that is killed leaves nothing that looks whole, and harms nothing', async (t) => {
  await using directory = await temporaryDirectory()
  const data = directory.path
  await fill(data)
  {
    await using command = startCommand(nowhere, ['backup', 'create', '--data', data])
    await until(() => partsIn(data).length > 0, { what: 'a copy to begin', everyMs: 1 })
    await command[Symbol.asyncDispose]()
  }
  assert.ok(partsIn(data).length > 0, 'it was met in its middle')
  assert.equal((await backup(data, 'list', '--json')).output, '[]\n')
  const made = await backup(data, 'create')
  assert.equal(made.code, 0, made.errors)
  const verified = await backup(data, 'verify')
  assert.equal(verified.code, 0, verified.output + verified.errors)
  assert.match(verified.output, /^ok .*\.db\n$/)
  t.diagnostic(made.output)
})

test('damage is found, and a damaged backup is not restored', async () => {
  await using directory = await temporaryDirectory()
  const data = directory.path
  {
    await using _made = await openDatabase({ url: sqliteUrl(join(data, 'millrace.sqlite')), log: pino({ level: 'silent' }) })
  }
  const made = await backup(data, 'create', '--json')
  const { path }: { path: string } = JSON.parse(made.output)
  {
    await using file = await open(path, 'r+')
    await file.write(Buffer.from('x'), 0, 1, 5000)
  }
  const verified = await backup(data, 'verify', '--json')
  assert.equal(verified.code, 1)
  assert.partialDeepStrictEqual(JSON.parse(verified.output), [{ path, isSound: false, code: 'BACKUP_DAMAGED' }])
  const before = await readFile(join(data, 'millrace.sqlite'))
  assert.match((await backup(data, 'restore', path)).errors, /^error BACKUP_DAMAGED: /)
  assert.ok(before.equals(await readFile(join(data, 'millrace.sqlite'))))
})

test('a time takes the newest backup at or before it; a lost or broken database is no hindrance', async () => {
  await using directory = await temporaryDirectory()
  const data = directory.path
  const path = join(data, 'millrace.sqlite')
  {
    await using _made = await openDatabase({ url: sqliteUrl(path), log: pino({ level: 'silent' }) })
  }
  assert.equal((await backup(data, 'create')).code, 0)
  assert.match((await backup(data, 'restore', '1h ago')).errors, /^error BACKUP_NOT_FOUND: /)
  await rm(path)
  assert.match((await backup(data, 'create')).errors, /^error CONFIG_INVALID: there is no database /)
  assert.match((await backup(data, 'restore', 'now')).output, /\nThere was no database before\.\n$/)
  {
    await using file = await open(path, 'r+')
    await file.write(Buffer.from('this is no database any more'), 0, 28, 0)
  }
  const restored = await backup(data, 'restore', 'now')
  assert.equal(restored.code, 0, restored.errors)
  assert.deepEqual(namesIn(path), [])
})
