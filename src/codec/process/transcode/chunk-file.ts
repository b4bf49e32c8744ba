import { createHash } from 'node:crypto'
import { Reader } from '#bytes/reader.ts'
import { chunkBytes, type ByteSource } from './chunk-bytes.ts'
import { digestBytes, magic, packetFlags, packetHeadBytes, type ChunkEnd, type ChunkPacket } from './chunk-format.ts'
import { isChunkStream, type ChunkStream } from './chunk-description.ts'

const limits = { descriptionBytes: 1 << 20, packetBytes: 64 << 20 } as const

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

  /** All packets in coding order, once, the data of each until the next. Throws `INPUT_DAMAGED` when the file ends early or is not what was written. */
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

  /** Lets go of file or connection. */
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
    if (!isChunkStream(description)) throw bytes.damaged('its description does not follow the schema')
    return new ChunkFile(description, bytes)
  } catch (error) {
    await bytes[Symbol.asyncDispose]()
    throw error
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return value
  } catch {
    return undefined
  }
}
