import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '#lib/errors.ts'

/** SQLITE_BUSY (SQLite C interface, "Result Codes"): another connection has the lock. */
const sqliteBusy = 5

/** A connection that nobody refers to is closed by the garbage collector, and its lock with it; these are referred to. */
const heldLocks = new Set<DatabaseSync>()

/**
 * Makes the caller the only one that uses a directory, until disposed of. Throws `LOG_UNAVAILABLE` that names the holder.
 *
 * Node offers no file lock of its own, but SQLite does: an exclusive transaction on the empty database `lock` holds a lock of the operating system on it,
 * which ends with the process, however it ends. There is nothing to clean up after a crash, no moment in which two can have it, no process id that
 * may have gone to another program, and it holds between containers that share the directory (a socket's abstract name does not: it is per network
 * namespace). `lock.holder` is there for people; nothing is decided by it.
 */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  const holderFile = join(directory, 'lock.holder')
  const database = acquire(join(directory, 'lock'))
  if (database === undefined) {
    const holder = await readFile(holderFile, 'utf8').then(
      (text) => text.trim(),
      () => 'another process', // it has not written its name yet
    )
    throw new AppError(
      'LOG_UNAVAILABLE',
      `${directory} is in use by ${holder}; stop that one first, or give each its own directory`,
    )
  }
  // A full disk must not keep its holder from starting: that is who will free space.
  await writeFile(holderFile, `process ${process.pid} on ${hostname()}\n`).catch(() => undefined)
  return {
    [Symbol.asyncDispose]() {
      if (heldLocks.delete(database)) database.close()
      return Promise.resolve()
    },
  }
}

function acquire(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE') // no journal: nothing is ever written
    heldLocks.add(database)
    return database
  } catch (error) {
    database?.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return undefined
    const cause = error instanceof Error ? error.message : String(error)
    throw new AppError('LOG_UNAVAILABLE', `cannot lock ${path}: ${cause}; it needs a file system with file locks`, {
      cause: error,
    })
  }
}
