import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { Check } from 'typebox/value'
import { Reader } from '#bytes/reader.ts'
import { Writer } from '#bytes/writer.ts'
import { AppError } from '#lib/errors.ts'
import { chunkBytes, type ByteSource } from './chunk-bytes.ts'
import { chunkStreamSchema, type ChunkStream } from './chunk-stream.ts'

// A chunk between the encoder and the packager. It is no format for players: MP4 moves times below zero and rewrites parameter sets, Matroska rounds times
// to milliseconds, MPEG-TS has no AV1. Here everything comes back as it was.
//
//   'MRCHUNK1' | u32 length, description as JSON | packets | end
//   packet     = u32 size (1…) | u8 flags | i64 pts | i64 dts | u32 duration | data
//   end        = u32 0 | u32 number of packets | SHA-256 of all data

const magic = 'MRCHUNK1'
const packetHeadBytes = 25
const packetFlags = { isKeyframe: 1 } as const
const digestBytes = 32
const limits = { descriptionBytes: 1 << 20, packetBytes: 64 << 20 } as const
/** So much is gathered before it is written. */
const flushBytes = 1 << 20

/** One encoded frame (video) or block of samples (audio); times in the time base of its stream, on the timeline of the whole clip. */
export type ChunkPacket = {
  readonly pts: number
  readonly dts: number
  readonly durationTicks: number
  readonly isKeyframe: boolean
  readonly data: Buffer
}

export type ChunkEnd = { readonly packetCount: number; readonly sizeBytes: number; readonly sha256: string }

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

/** A chunk that is being read. */
export class ChunkFile implements AsyncDisposable {
  readonly stream: ChunkStream
  readonly #bytes: ByteSource
  #end: ChunkEnd | undefined

  /** Of the packets' data, as read and found equal to what the file says; `undefined` until all packets were read. */
  get end(): ChunkEnd | undefined {
    return this.#end
  }

  constructor(stream: ChunkStream, bytes: ByteSource) {
    this.stream = stream
    this.#bytes = bytes
  }

  /** All packets in coding order, once. Throws `INPUT_DAMAGED` when the file ends early or is not what was written. */
  async *packets(): AsyncGenerator<ChunkPacket, void, undefined> {
    const hash = createHash('sha256')
    let packetCount = 0
    let sizeBytes = 0
    for (;;) {
      const size = new Reader(await this.#bytes.take(4)).u32()
      if (size === 0) break
      if (size > limits.packetBytes) throw this.#bytes.damaged(`packet ${packetCount} has ${size} bytes`)
      const head = new Reader(await this.#bytes.take(packetHeadBytes - 4))
      const flags = head.u8()
      const pts = head.i64()
      const dts = head.i64()
      const durationTicks = head.u32()
      const data = await this.#bytes.take(size)
      hash.update(data)
      packetCount += 1
      sizeBytes += size
      yield { pts, dts, durationTicks, isKeyframe: (flags & packetFlags.isKeyframe) !== 0, data }
    }
    const end = new Reader(await this.#bytes.take(4 + digestBytes))
    const announced = end.u32()
    if (announced !== packetCount) throw this.#bytes.damaged(`it has ${packetCount} packets, not ${announced}`)
    const sha256 = hash.digest('hex')
    if (end.slice(digestBytes).toString('hex') !== sha256) throw this.#bytes.damaged('its digest does not fit its packets')
    this.#end = { packetCount, sizeBytes, sha256 }
  }

  /** Lets go of file or connection; packets that were read stay valid. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bytes[Symbol.asyncDispose]()
  }
}

/**
 * Opens the chunk at a path or an `http:` address and reads its description. Throws `INPUT_DAMAGED` when it is missing or is no chunk,
 * `SOURCE_UNREACHABLE` when the connection fails.
 */
export async function openChunk(location: string, { signal }: { signal?: AbortSignal } = {}): Promise<ChunkFile> {
  const bytes = await chunkBytes(location, signal)
  try {
    if ((await bytes.take(magic.length)).toString('latin1') !== magic) throw bytes.damaged('it is no chunk')
    const length = new Reader(await bytes.take(4)).u32()
    if (length > limits.descriptionBytes) throw bytes.damaged(`its description has ${length} bytes`)
    const description = parseJson(await bytes.take(length))
    if (!Check(chunkStreamSchema, description)) throw bytes.damaged('its description does not follow the schema')
    return new ChunkFile(description, bytes)
  } catch (error) {
    await bytes[Symbol.asyncDispose]()
    throw error
  }
}

function diskError(cause: unknown): never {
  const isFull = cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')
  throw new AppError(isFull ? 'DISK_FULL' : 'DISK_FAILED', `a chunk cannot be written: ${String(cause)}`, { cause })
}

function parseJson(bytes: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return value
  } catch {
    return undefined
  }
}
