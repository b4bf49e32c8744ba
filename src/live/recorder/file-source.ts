import { open } from 'node:fs/promises'
import type { ByteSource } from '#formats/mp4/read-boxes.ts'
import { AppError } from '#lib/errors.ts'
import { diskError, errnoOf } from './recording-disk.ts'

/** A file to read from; its size is that of the moment it was opened. */
export type FileSource = ByteSource & AsyncDisposable

/** Opens a recorded file. Throws `RECORDING_NOT_FOUND` when it is gone, `DISK_FAILED`. */
export async function openFileSource(path: string): Promise<FileSource> {
  try {
    const file = await open(path, 'r')
    const { size } = await file.stat()
    return {
      sizeBytes: size,
      async read(position, length) {
        const wanted = Math.max(0, Math.min(length, size - position))
        const bytes = Buffer.allocUnsafeSlow(wanted)
        let filled = 0
        while (filled < wanted) {
          const { bytesRead } = await file.read(bytes, filled, wanted - filled, position + filled)
          if (bytesRead === 0) break
          filled += bytesRead
        }
        return bytes.subarray(0, filled)
      },
      [Symbol.asyncDispose]: () => file.close(),
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      throw new AppError('RECORDING_NOT_FOUND', `the recorded file ${path} is gone; it was deleted or moved`, { cause: error })
    }
    throw diskError(error, path)
  }
}
