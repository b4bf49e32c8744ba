import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { AppError } from '#lib/errors.ts'

/** Of a file at once. */
const readBytes = 1 << 20

/** Bytes of a file or an HTTP answer, taken from front to end; holds little more than what is asked for. */
export class ByteSource implements AsyncDisposable {
  /** Last part of the path, for messages. */
  readonly #name: string
  readonly #chunks: AsyncIterator<Uint8Array>
  #waiting: Buffer[] = []
  #waitingBytes = 0

  constructor(name: string, chunks: AsyncIterable<Uint8Array>) {
    this.#name = name
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Exactly so many bytes, in memory of their own or a slice of what arrived. Throws `INPUT_DAMAGED` when there are fewer. */
  async take(length: number): Promise<Buffer> {
    while (this.#waitingBytes < length) {
      const next = await this.#next()
      if (next.done === true) throw this.damaged(`it ends ${length - this.#waitingBytes} bytes early`)
      this.#waiting.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length))
      this.#waitingBytes += next.value.length
    }
    this.#waitingBytes -= length
    const [first = Buffer.alloc(0)] = this.#waiting
    if (first.length < length) return this.#join(length)
    this.#waiting[0] = first.subarray(length)
    return first.subarray(0, length)
  }

  /** Bytes that did not arrive together. */
  #join(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let at = 0; at < length;) {
      const [first = Buffer.alloc(0)] = this.#waiting
      const taken = first.copy(bytes, at, 0, length - at)
      at += taken
      if (taken < first.length) this.#waiting[0] = first.subarray(taken)
      else this.#waiting.shift()
    }
    return bytes
  }

  /** The error for a chunk that is not what was written. */
  damaged(why: string): AppError {
    return new AppError('INPUT_DAMAGED', `chunk "${this.#name}" cannot be used: ${why}; it must be encoded again`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.()
  }

  async #next(): Promise<IteratorResult<Uint8Array, unknown>> {
    try {
      return await this.#chunks.next()
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') throw this.damaged('it is missing')
      throw new AppError('SOURCE_UNREACHABLE', `reading chunk "${this.#name}" failed: ${String(cause)}`, { cause })
    }
  }
}

/** Opens a path or an `http:` address. Throws `INPUT_DAMAGED` for 404, `SOURCE_UNREACHABLE` for other failures of the connection. */
export async function chunkBytes(location: string, signal: AbortSignal | undefined): Promise<ByteSource> {
  if (!location.startsWith('http:'))
    return new ByteSource(basename(location), createReadStream(location, { signal, highWaterMark: readBytes }))
  const name = basename(new URL(location).pathname)
  const response = await fetch(location, { redirect: 'error', ...(signal ? { signal } : {}) }).catch((cause: unknown) => {
    throw new AppError('SOURCE_UNREACHABLE', `chunk "${name}" cannot be fetched: ${String(cause)}`, { cause })
  })
  const source = new ByteSource(name, response.body ?? emptyBody())
  if (response.status === 200) return source
  await source[Symbol.asyncDispose]()
  if (response.status === 404) throw source.damaged('it is missing')
  throw new AppError('SOURCE_UNREACHABLE', `chunk "${name}" cannot be fetched: the answer is ${response.status}`)
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}
