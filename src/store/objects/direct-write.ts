import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { Staging } from '#bytes/staging.ts'

/** What every disk takes: its own blocks are this large or smaller. */
const blockBytes = 4096
const stagingBytes = 2 ** 20
/** As many as objects are written at once. */
const stagingCount = 4

const staging = new Staging({ sizeBytes: stagingBytes, count: stagingCount })

/** A new file that is written past the page cache, where the file system can do that. */
export async function openDirect(path: string): Promise<FileHandle> {
  const { O_DIRECT, O_CREAT, O_EXCL, O_WRONLY } = constants
  try {
    return await open(path, O_DIRECT | O_CREAT | O_EXCL | O_WRONLY)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EINVAL') return await open(path, 'wx')
    throw error
  }
}

/**
 * Writes a whole file past the page cache (`O_DIRECT`, open(2)): nobody reads an object soon enough for copies in memory to be worth making, and a sync of the
 * write-ahead log on the same disk does not wait for megabytes that lie there. Writes are whole blocks from aligned memory; the end is cut to size.
 */
export async function writeStaged(file: FileHandle, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  await staging.with(async (staged) => {
    let [filled, position] = [0, 0]
    for await (const chunk of chunks) {
      for (let from = 0; from < chunk.length;) {
        const part = chunk.subarray(from, from + staged.length - filled)
        staged.set(part, filled)
        filled += part.length
        from += part.length
        if (filled < staged.length) continue
        await writeAll(file, staged, position)
        position += filled
        filled = 0
      }
    }
    const padded = Math.ceil(filled / blockBytes) * blockBytes
    if (padded > 0) await writeAll(file, staged.fill(0, filled, padded).subarray(0, padded), position)
    if (padded > filled) await file.truncate(position + filled)
  })
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
