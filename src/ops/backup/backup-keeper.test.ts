import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { ManualClock, systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { mountSmallDisk } from '../../../test/support/small-disk.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { listBackups } from './backup-directory.ts'
import { BackupKeeper } from './backup-keeper.ts'
import { createBackup } from './create-backup.ts'
import { objectCopies } from './object-copies.ts'

const silent = pino({ level: 'silent' })
const hourMs = 3_600_000
const { signal } = new AbortController()

async function openKeeper(root: string, { directory = join(root, 'backups'), log = silent, isCopied = false } = {}) {
  const clock = new ManualClock()
  const path = join(root, 'millrace.sqlite')
  await using stack = new AsyncDisposableStack()
  stack.use(await openDatabase({ url: sqliteUrl(path), log: silent }))
  const objects = stack.use(
    await openObjectStore({ region: '', pathStyle: true }, { dataDirectory: root, clock: systemClock, log: silent }),
  )
  const source = { kind: 'sqlite', path } as const
  const deps = { source, directory, version: '1', configuration: () => [], clock }
  const keeper = new BackupKeeper({
    directory,
    everyMs: 6 * hourMs,
    keepMs: 24 * hourMs,
    create: (end) => createBackup(deps, end),
    copies: isCopied ? objectCopies(objects) : undefined,
    clock,
    log,
  })
  const opened = stack.move()
  return { keeper, clock, directory, objects, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

test('a backup is made when the newest is too old, and old ones go', async () => {
  await using root = await temporaryDirectory()
  await using opened = await openKeeper(root.path, { isCopied: true })
  const { keeper, clock, directory, objects } = opened
  await keeper.run(signal)
  await keeper.run(signal)
  assert.equal((await listBackups(directory)).length, 1)
  clock.advance(5 * hourMs)
  await keeper.run(signal)
  assert.equal((await listBackups(directory)).length, 1)
  for (let made = 0; made < 6; made++) {
    clock.advance(6 * hourMs)
    await keeper.run(signal)
  }
  const backups = await listBackups(directory)
  assert.equal(backups.length, 5)
  assert.equal((await keeper.findNewest())?.createdAtMs, clock.nowMs())
  assert.equal(keeper.failureCount, 0)
  const copies = await objects.list({ prefix: 'backups/' })
  assert.equal(copies.objects.length, 10)
  const keys = copies.objects.filter(({ key }) => key.endsWith('.db')).map(({ key }) => key)
  assert.deepEqual(
    keys.toReversed(),
    backups.map(({ manifest }) => `backups/${manifest.file}`),
  )
})

test('a full disk is told in one coded line, and tried again later', async (t) => {
  await using disk = await mountSmallDisk(8)
  if (!disk) return t.skip('may not mount')
  await using root = await temporaryDirectory()
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  await using opened = await openKeeper(root.path, { directory: disk.path, log })
  const { keeper, clock } = opened
  await keeper.run(signal)
  await keeper.run(signal)
  assert.equal(lines.length, 1)
  assert.partialDeepStrictEqual(JSON.parse(lines[0] ?? ''), { code: 'DISK_FULL', msg: 'backup failed' })
  assert.deepEqual(await listBackups(disk.path), [])
  clock.advance(hourMs)
  await keeper.run(signal)
  assert.equal(keeper.failureCount, 2)
})

test('what ends because the server stops is no failure', async () => {
  await using root = await temporaryDirectory()
  await using opened = await openKeeper(root.path)
  const { keeper, directory } = opened
  await keeper.run(AbortSignal.abort(new AppError('SHUTTING_DOWN', 'stopping')))
  assert.equal(keeper.failureCount, 0)
  assert.deepEqual(await listBackups(directory), [])
})
