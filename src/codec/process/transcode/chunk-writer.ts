import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { Writer } from '#bytes/writer.ts'
import { AppError } from '#lib/errors.ts'
import { digestBytes, magic, packetFlags, packetHeadBytes, type ChunkEnd, type ChunkPacket } from './chunk-format.ts'
import type { ChunkStream } from './chunk-description.ts'

/** So much is gathered before it is written, or one packet where that is more. */
const gatheredBytes = 1 << 20

/** Writes one chunk. A file that was not closed has no end and is refused by `openChunk`. Throws `DISK_FULL` and `DISK_FAILED`. */
export class ChunkWriter implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #hash = createHash('sha256')
  #gathered = Buffer.allocUnsafeSlow(gatheredBytes)
  #gatheredBytes = 0
  #packetCount = 0
  #sizeBytes = 0

  /** Replaces what is at `path`. */
  static async open(path: string, stream: ChunkStream): Promise<ChunkWriter> {
    const writer = new ChunkWriter(await open(path, 'w'))
    const description = Buffer.from(JSON.stringify(stream))
    await writer.#put(
      new Writer(magic.length + 4 + description.length).ascii(magic).u32(description.length).raw(description).finish(),
    )
    return writer
  }

  private constructor(file: FileHandle) {
    this.#file = file
  }

  async write({ pts, dts, durationTicks, isKeyframe, data }: ChunkPacket): Promise<void> {
    await this.#put(
      new Writer(packetHeadBytes)
        .u32(data.length)
        .u8(isKeyframe ? packetFlags.isKeyframe : 0)
        .i64(pts)
        .i64(dts)
        .u32(durationTicks)
        .finish(),
    )
    await this.#put(data)
    this.#hash.update(data)
    this.#packetCount += 1
    this.#sizeBytes += data.length
  }

  /** Ends the file and syncs it. Sizes and digest are of the packets' data. */
  async close(): Promise<ChunkEnd> {
    const digest = this.#hash.digest()
    await this.#put(new Writer(8 + digestBytes).u32(0).u32(this.#packetCount).raw(digest).finish())
    await this.#flush()
    await this.#file.datasync().catch(diskError)
    await this.#file.close()
    return { packetCount: this.#packetCount, sizeBytes: this.#sizeBytes, sha256: digest.toString('hex') }
  }

  /** Closes the file as it stands; after `close` nothing happens. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  async #put(bytes: Buffer): Promise<void> {
    if (this.#gatheredBytes + bytes.length > this.#gathered.length) await this.#flush()
    if (bytes.length > this.#gathered.length) this.#gathered = Buffer.allocUnsafeSlow(bytes.length)
    this.#gatheredBytes += bytes.copy(this.#gathered, this.#gatheredBytes)
  }

  async #flush(): Promise<void> {
    await this.#file.appendFile(this.#gathered.subarray(0, this.#gatheredBytes)).catch(diskError)
    this.#gatheredBytes = 0
  }
}

function diskError(cause: unknown): never {
  const isFull = cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')
  throw new AppError(isFull ? 'DISK_FULL' : 'DISK_FAILED', `a chunk cannot be written: ${String(cause)}`, { cause })
}
