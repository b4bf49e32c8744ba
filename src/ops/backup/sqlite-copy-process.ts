// A process of its own for one copy of a SQLite database: source and target are its arguments; see sqlite-copy.ts.
import { closeSync, fdatasyncSync, openSync } from 'node:fs'
import { backup, DatabaseSync } from 'node:sqlite'
import { toAppError } from '#lib/errors.ts'
import { translateSqliteError } from '#store/sql/sqlite-errors.ts'
import { digestFile } from './digest.ts'
import { backupDiskFull } from './disk-space.ts'
import type { CopyAnswer } from './sqlite-copy.ts'
import { loadSqliteMigrations } from './sqlite-file.ts'

/**
 * 1 MB, then a pause of 5 ms, and the disk is told to write every 8 MB. Beside a server that commits every 5 ms, 300 MB took 2.6 s so, with the slowest commit of
 * 27 ms as without a backup; copied at once, by `backup()` or by `VACUUM INTO`, they took 0.8 s and held a commit up for 200 ms: its sync waited for theirs.
 */
const pagesPerStep = 256
const pauseMs = 5
const stepsPerSync = 8
/** For the lock that a server takes while it opens or closes the database. */
const busyTimeoutMs = 5000

const [, , source = '', target = ''] = process.argv
// The server is gone: nobody wants the copy any more.
process.once('disconnect', () => process.exit(1))
process.send?.(await answer())

async function answer(): Promise<CopyAnswer> {
  try {
    await copy()
    const migrations = loadSqliteMigrations(target)
    return { kind: 'copied', copied: { ...digestFile(target), migrations } }
  } catch (thrown) {
    const { code, message } = toAppError(isDiskFull(thrown) ? backupDiskFull(target) : translateSqliteError(thrown, source))
    return { kind: 'failed', code: code === 'DISK_FULL' || code === 'DATABASE_UNAVAILABLE' ? code : 'INTERNAL', message }
  }
}

async function copy(): Promise<void> {
  const file = openSync(target, 'wx+', 0o600)
  const pause = new Int32Array(new SharedArrayBuffer(4))
  try {
    using database = new DatabaseSync(source, { readOnly: true, timeout: busyTimeoutMs })
    // One view of the database to the end: commits of the server would otherwise let the copy begin anew.
    database.exec('begin')
    database.prepare('select count(*) from sqlite_schema').get()
    let steps = 0
    const progress = (): void => {
      Atomics.wait(pause, 0, 0, pauseMs)
      steps += 1
      if (steps % stepsPerSync === 0) fdatasyncSync(file)
    }
    await backup(database, target, { rate: pagesPerStep, progress })
    // The copy is one file that is whole without a write-ahead log beside it.
    using copied = new DatabaseSync(target)
    copied.exec('pragma journal_mode = delete')
    fdatasyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** `ENOSPC` of the system, `SQLITE_FULL` of SQLite. */
function isDiskFull(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  return ('code' in thrown && thrown.code === 'ENOSPC') || ('errcode' in thrown && thrown.errcode === 13)
}
