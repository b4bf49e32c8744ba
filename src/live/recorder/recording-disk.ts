import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '#lib/errors.ts'

/** An open file that grows. */
export interface RecordingHandle {
  /** May write less than all; the answer is how much. */
  writev(buffers: readonly Buffer[], position: number): Promise<number>
  datasync(): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  close(): Promise<void>
}

/** What the recorder needs of a disk. */
export interface RecordingDisk {
  /** Makes a new file and the directories above it. */
  create(path: string): Promise<RecordingHandle>
  /** Makes the entry of a new file in its directory safe. */
  syncDirectory(path: string): Promise<void>
  remove(path: string): Promise<void>
}

/** Retention removes empty directories: one may vanish between its making and the file's. */
const createAttempts = 3

/** Written through the page cache. */
export const nodeDisk: RecordingDisk = {
  async create(path) {
    const file = await createFile(path, 'wx')
    return {
      writev: async (buffers, position) => (await file.writev([...buffers], position)).bytesWritten,
      datasync: () => file.datasync(),
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      close: () => file.close(),
    }
  },
  async syncDirectory(path) {
    const directory = await open(dirname(path), 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
  remove: (path) => rm(path, { force: true }),
}

/** Opens a new file, making the directories above it. */
export async function createFile(path: string, flags: string | number): Promise<FileHandle> {
  for (let attempt = 1; ; attempt++) {
    await mkdir(dirname(path), { recursive: true })
    try {
      return await open(path, flags)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || attempt === createAttempts) throw error
    }
  }
}

/** The system's name for what went wrong: `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** A fault of the disk as a coded error: `DISK_FULL` or `DISK_FAILED`. */
export function diskError(error: unknown, path: string): AppError {
  if (error instanceof AppError) return error
  const errno = errnoOf(error)
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new AppError('DISK_FULL', `no space left while recording to ${path}; free space or lower the retention`, {
      cause: error,
    })
  }
  const what = error instanceof Error ? error.message : String(error)
  return new AppError('DISK_FAILED', `cannot record to ${path}: ${what}; check the disk and the rights of the directory`, {
    cause: error,
  })
}
