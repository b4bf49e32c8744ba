import { AppError, type ErrorCode } from '#lib/errors.ts'

/** Result codes, https://sqlite.org/rescode.html, that say the database itself is away or unfit, with what to do. */
const unavailable: ReadonlyMap<number, { code: ErrorCode; message: string }> = new Map([
  [5, { code: 'DATABASE_UNAVAILABLE', message: 'is locked by another process; stop that one or wait' }], // SQLITE_BUSY
  [6, { code: 'DATABASE_UNAVAILABLE', message: 'is locked by a query of this process' }], // SQLITE_LOCKED
  [8, { code: 'DATABASE_UNAVAILABLE', message: 'cannot be written; check owner and mode of the file and its directory' }], // SQLITE_READONLY
  [10, { code: 'DATABASE_UNAVAILABLE', message: 'cannot be read or written; check the disk' }], // SQLITE_IOERR
  [11, { code: 'DATABASE_UNAVAILABLE', message: 'is damaged; restore a backup' }], // SQLITE_CORRUPT
  [13, { code: 'DISK_FULL', message: 'cannot grow; free space on its disk' }], // SQLITE_FULL
  [14, { code: 'DATABASE_UNAVAILABLE', message: 'cannot be opened; check that its directory exists and may be written' }], // SQLITE_CANTOPEN
  [26, { code: 'DATABASE_UNAVAILABLE', message: 'is no SQLite database; set another database.url' }], // SQLITE_NOTADB
])

export function isSqliteBusy(error: unknown): boolean {
  return resultCode(error) === 5
}

/** What SQLite or the file system threw as a coded error; anything else, such as a violated constraint, as it is. */
export function translateSqliteError(error: unknown, path: string): unknown {
  const known = unavailable.get(resultCode(error) ?? fileSystemCode(error) ?? 0)
  return known ? new AppError(known.code, `database ${path} ${known.message}`, { cause: error }) : error
}

/** The primary code, without the extended part. */
function resultCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode % 256 : undefined
}

/** Making the file and its directory fails with the codes of the system: all of them mean SQLITE_CANTOPEN. */
function fileSystemCode(error: unknown): number | undefined {
  return error instanceof Error && 'syscall' in error ? 14 : undefined
}
