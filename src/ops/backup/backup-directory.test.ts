import assert from 'node:assert/strict'
import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { findNewest, listBackups, pruneBackups, requireBackup } from './backup-directory.ts'
import { backupStem, manifestName, type BackupManifest } from './manifest.ts'

const dayMs = 86_400_000
const nowMs = Date.UTC(2026, 10, 21, 12)

async function addBackup(directory: string, createdAtMs: number): Promise<string> {
  const file = `${backupStem(createdAtMs)}.db`
  const manifest: BackupManifest = {
    format: 1,
    database: 'sqlite',
    file,
    createdAt: new Date(createdAtMs).toISOString(),
    version: '1',
    sizeBytes: 1,
    sha256: '0'.repeat(64),
    migrations: [],
    configuration: [],
  }
  await writeFile(join(directory, file), 'x')
  await writeFile(join(directory, manifestName(file)), JSON.stringify(manifest))
  return file
}

test('a directory that is not there has no backups', async () => {
  await using directory = await temporaryDirectory()
  assert.deepEqual(await listBackups(join(directory.path, 'none')), [])
  assert.equal(await findNewest(join(directory.path, 'none')), undefined)
  assert.deepEqual(await pruneBackups(join(directory.path, 'none'), { beforeMs: nowMs, nowMs }), [])
})

test('backups are listed newest first, and one is found by its name', async () => {
  await using directory = await temporaryDirectory()
  const older = await addBackup(directory.path, nowMs - dayMs)
  const newer = await addBackup(directory.path, nowMs)
  assert.deepEqual(
    (await listBackups(directory.path)).map(({ manifest }) => manifest.file),
    [newer, older],
  )
  assert.equal((await findNewest(directory.path))?.createdAtMs, nowMs)
  assert.equal((await requireBackup(directory.path, older)).createdAtMs, nowMs - dayMs)
  await assert.rejects(requireBackup(directory.path, 'millrace-20200101T000000.000Z.db'), { code: 'BACKUP_NOT_FOUND' })
})

test('a backup whose manifest is damaged is none', async () => {
  await using directory = await temporaryDirectory()
  const file = await addBackup(directory.path, nowMs)
  await writeFile(join(directory.path, manifestName(file)), '{"format":')
  assert.deepEqual(await listBackups(directory.path), [])
  await assert.rejects(requireBackup(directory.path, file), { code: 'BACKUP_DAMAGED' })
})

test('old backups are deleted, but never the newest two', async () => {
  await using directory = await temporaryDirectory()
  const files: string[] = []
  for (const days of [40, 35, 31, 29, 1]) files.push(await addBackup(directory.path, nowMs - days * dayMs))
  const pruned = await pruneBackups(directory.path, { beforeMs: nowMs - 30 * dayMs, nowMs })
  assert.deepEqual(pruned.map(({ manifest }) => manifest.file).toSorted(), files.slice(0, 3))
  assert.equal((await readdir(directory.path)).length, 4)
  assert.deepEqual(await pruneBackups(directory.path, { beforeMs: nowMs + dayMs, nowMs }), [])
})

test('what a killed process left behind goes after an hour; other files stay', async () => {
  await using directory = await temporaryDirectory()
  const stem = backupStem(nowMs)
  const abandoned = [`${stem}.db.part`, `${stem}.db.part-journal`, `${backupStem(nowMs - 1)}.db`]
  for (const name of [...abandoned, 'notes.txt']) {
    await writeFile(join(directory.path, name), 'x')
    await utimes(join(directory.path, name), (nowMs - dayMs) / 1000, (nowMs - dayMs) / 1000)
  }
  const fresh = `${backupStem(nowMs - 2)}.db.part`
  await writeFile(join(directory.path, fresh), 'x')
  await utimes(join(directory.path, fresh), nowMs / 1000, nowMs / 1000)
  await pruneBackups(directory.path, { beforeMs: nowMs, nowMs })
  assert.deepEqual((await readdir(directory.path)).toSorted(), [fresh, 'notes.txt'].toSorted())
})
