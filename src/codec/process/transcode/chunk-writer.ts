import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { Writer } from '#bytes/writer.ts'
import { AppError } from '#lib/errors.ts'
import { digestBytes, magic, packetFlags, packetHeadBytes, type ChunkEnd, type ChunkPacket } from './chunk-format.ts'
import type { ChunkStream } from './chunk-description.ts'

/** So much is gathered before it is written. */
const flushBytes = 1 << 20

/** Writes one chunk. A file that was not closed has no end and is refused by `openChunk`. Throws `DISK_FULL` and `DISK_FAILED`. */
export class ChunkWriter implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #hash = createHash('sha256')
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #packetCount = 0
  #sizeBytes = 0

  /** Replaces what is at `path`. */
  static async open(path: string, stream: ChunkStream): Promise<ChunkWriter> {
    const writer = new ChunkWriter(await open(path, 'w'))
    const description = Buffer.from(JSON.stringify(stream))
    writer.#put(new Writer(magic.length + 4 + description.length).ascii(magic).u32(description.length).raw(description).finish())
    return writer
  }

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Keeps `data` until it is written: the caller must not change it. */
  async write({ pts, dts, durationTicks, isKeyframe, data }: ChunkPacket): Promise<void> {
    this.#put(
      new Writer(packetHeadBytes)
        .u32(data.length)
        .u8(isKeyframe ? packetFlags.isKeyframe : 0)
        .i64(pts)
        .i64(dts)
        .u32(durationTicks)
        .finish(),
    )
    this.#put(data)
    this.#hash.update(data)
    this.#packetCount += 1
    this.#sizeBytes += data.length
    if (this.#waitingBytes >= flushBytes) await this.#flush()
  }

  /** Ends the file and syncs it. Sizes and digest are of the packets' data. */
  async close(): Promise<ChunkEnd> {
    const digest = this.#hash.digest()
    this.#put(new Writer(8 + digestBytes).u32(0).u32(this.#packetCount).raw(digest).finish())
    await this.#flush()
    await this.#file.datasync().catch(diskError)
    await this.#file.close()
    return { packetCount: this.#packetCount, sizeBytes: this.#sizeBytes, sha256: digest.toString('hex') }
  }

  /** Closes the file as it stands; after `close` nothing happens. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  #put(bytes: Buffer): void {
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    let left = this.#waitingBytes
    this.#waitingBytes = 0
    const { bytesWritten } = await this.#file.writev(waiting).catch(diskError)
    left -= bytesWritten
    if (left > 0) await this.#file.appendFile(Buffer.concat(waiting).subarray(bytesWritten)).catch(diskError)
  }
}

function diskError(cause: unknown): never {
  const isFull = cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')
  throw new AppError(isFull ? 'DISK_FULL' : 'DISK_FAILED', `a chunk cannot be written: ${String(cause)}`, { cause })
}
