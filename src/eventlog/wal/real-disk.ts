import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, statfs, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { platform } from 'node:process'
import { alignedBuffer } from '#bytes/staging.ts'
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
      const syncing = platform === 'linux' ? await open(path, constants.O_WRONLY | constants.O_DSYNC) : undefined
      return new RealFile(path, { handle, syncing })
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

/** What is written past the page cache must be whole blocks; every disk takes these. */
const blockBytes = 4096
const zeros = alignedBuffer(1_048_576)

class RealFile implements DiskFile {
  /** Where it was opened. */
  readonly #path: string
  readonly #handle: FileHandle
  /** Another handle of the file, each write to which is synced. */
  readonly #syncing: FileHandle | undefined

  constructor(path: string, { handle, syncing }: { handle: FileHandle; syncing: FileHandle | undefined }) {
    this.#path = path
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

  async writeZeros(position: number, lengthBytes: number): Promise<void> {
    for (let done = 0; done < lengthBytes;) {
      const some = zeros.subarray(0, lengthBytes - done)
      const written = await writeDirect(this.#path, position + done, some)
      // What is left says why, if it is the disk that is full.
      if (written < some.length) await this.write(position + done + written, [some.subarray(written)])
      done += some.length
    }
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

/** Writes past the page cache; returns how many bytes that were, none where it cannot be done. */
async function writeDirect(path: string, position: number, bytes: Buffer): Promise<number> {
  if (platform !== 'linux' || position % blockBytes !== 0 || bytes.length % blockBytes !== 0) return 0
  try {
    await using file = await open(path, constants.O_WRONLY | constants.O_DIRECT)
    return (await file.write(bytes, 0, bytes.length, position)).bytesWritten
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EINVAL') return 0
    throw error
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
