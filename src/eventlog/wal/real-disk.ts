import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, statfs, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { platform } from 'node:process'
import { lockDirectory } from '#store/directory-lock.ts'
import type { Disk, DiskFile } from './disk.ts'

/** The disk of this machine. */
export const realDisk: Disk = {
  async makeDirectory(path) {
    const firstMade = await mkdir(path, { recursive: true })
    if (firstMade === undefined) return
    for (let current = path; ; current = dirname(current)) {
      await syncDirectory(dirname(current))
      if (current === firstMade) return
    }
  },
  async list(path) {
    const entries = await readdir(path, { withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
  },
  async open(path, { isNew }) {
    const handle = await open(path, isNew ? 'wx+' : 'r+')
    try {
      // Elsewhere the flag does not reach through the cache of the drive.
      return new RealFile(handle, platform === 'linux' ? await open(path, constants.O_WRONLY | constants.O_DSYNC) : undefined)
    } catch (error) {
      await handle.close()
      throw error
    }
  },
  async rename(from, to) {
    await rename(from, to)
  },
  async remove(path) {
    await rm(path)
  },
  syncDirectory,
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  },
  lock: lockDirectory,
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}

class RealFile implements DiskFile {
  readonly #handle: FileHandle
  /** Another handle of the file, each write to which is synced. */
  readonly #syncing: FileHandle | undefined

  constructor(handle: FileHandle, syncing: FileHandle | undefined) {
    this.#handle = handle
    this.#syncing = syncing
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  async read(position: number, lengthBytes: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(lengthBytes)
    let filled = 0
    while (filled < lengthBytes) {
      const { bytesRead } = await this.#handle.read(bytes, filled, lengthBytes - filled, position + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return bytes.subarray(0, filled)
  }

  async write(position: number, chunks: readonly Buffer[]): Promise<void> {
    await writeFully(position, chunks, async (at, rest) => (await this.#handle.writev([...rest], at)).bytesWritten)
  }

  async writeSynced(position: number, chunks: readonly Buffer[]): Promise<void> {
    const handle = this.#syncing
    if (handle) return await writeFully(position, chunks, async (at, rest) => (await handle.writev([...rest], at)).bytesWritten)
    await this.write(position, chunks)
    await this.sync()
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#handle.truncate(sizeBytes)
  }

  async sync(): Promise<void> {
    await this.#handle.datasync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
    await this.#syncing?.close()
  }
}

/** Writes all chunks one behind the other with as many calls of `write` as it takes; `write` says how many bytes it took. */
export async function writeFully(
  position: number,
  chunks: readonly Buffer[],
  write: (position: number, chunks: readonly Buffer[]) => Promise<number>,
): Promise<void> {
  let at = position
  let rest = chunks
  while (rest.length > 0) {
    const written = await write(at, rest)
    if (written === 0 && rest.some(({ length }) => length > 0))
      throw new Error(`the disk takes nothing at position ${at}, and says no error`)
    at += written
    rest = behind(rest, written)
  }
}

/** The chunks without their first `count` bytes. */
function behind(chunks: readonly Buffer[], count: number): readonly Buffer[] {
  let left = count
  for (const [index, chunk] of chunks.entries()) {
    if (left < chunk.length) return [chunk.subarray(left), ...chunks.slice(index + 1)]
    left -= chunk.length
  }
  return []
}
