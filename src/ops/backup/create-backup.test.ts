import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { systemClock } from '#lib/clock.ts'
import { mountSmallDisk } from '../../../test/support/small-disk.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import { createBackup, type BackupDeps } from './create-backup.ts'
import { copySqlite } from './sqlite-copy.ts'

/** A database in WAL mode with so many rows of a megabyte. */
function makeDatabase(path: string, megabytes: number): DatabaseSync {
  const database = new DatabaseSync(path)
  database.exec('pragma journal_mode = wal; pragma synchronous = off; create table filler (bytes blob)')
  const insert = database.prepare('insert into filler values (randomblob(1000000))')
  for (let made = 0; made < megabytes; made++) insert.run()
  return database
}

function depsOf(root: string): BackupDeps {
  const source = { kind: 'sqlite', path: join(root, 'some.sqlite') } as const
  return { source, directory: join(root, 'backups'), version: '1', configuration: () => [], clock: systemClock }
}

test('a backup is one file for its owner alone, with what only the write-ahead log had', async () => {
  await using root = await temporaryDirectory()
  using _open = makeDatabase(join(root.path, 'some.sqlite'), 3)
  const { path, manifest } = await createBackup(depsOf(root.path), new AbortController().signal)
  assert.deepEqual((await readdir(join(root.path, 'backups'))).toSorted(), [manifest.file, manifest.file.replace('.db', '.json')])
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(path)).size, manifest.sizeBytes)
  using copied = new DatabaseSync(path, { readOnly: true })
  assert.deepEqual({ ...copied.prepare('select count(*) as count from filler').get() }, { count: 3 })
})

test('one that is stopped in its middle leaves nothing', async () => {
  await using root = await temporaryDirectory()
  using _open = makeDatabase(join(root.path, 'some.sqlite'), 60)
  const stopping = new AbortController()
  const names = () => readdir(join(root.path, 'backups')).catch(() => [])
  const making = assert.rejects(createBackup(depsOf(root.path), stopping.signal), { name: 'AbortError' })
  await until(async () => (await names()).length > 0, { what: 'a copy to begin', everyMs: 1 })
  stopping.abort()
  await making
  assert.deepEqual(await names(), [])
})

test('a disk that becomes full meanwhile is told by its code', async (t) => {
  await using disk = await mountSmallDisk(4)
  if (!disk) return t.skip('may not mount')
  await using root = await temporaryDirectory()
  const source = join(root.path, 'some.sqlite')
  using _open = makeDatabase(source, 8)
  const copying = copySqlite({ source, target: join(disk.path, 'copy') }, new AbortController().signal)
  await assert.rejects(copying, { code: 'DISK_FULL' })
})
