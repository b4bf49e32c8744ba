import { statfs } from 'node:fs/promises'
import { AppError } from '#lib/errors.ts'

/** What a backup leaves free: recordings and the write-ahead log may be on the same disk. */
const reserveBytes = 64 * 1024 * 1024

/** Throws `DISK_FULL` when a backup of this size would fill the disk of its directory. */
export async function requireSpace(directory: string, sizeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory)
  if (bavail * bsize < sizeBytes + reserveBytes) throw backupDiskFull(directory)
}

export function backupDiskFull(path: string): AppError {
  return new AppError(
    'DISK_FULL',
    `there is no room for the backup ${path}; free space on its disk, or set another backup.directory`,
  )
}
