import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { AppError } from '#lib/errors.ts'

/** Of a file at once. */
const readBytes = 1 << 20

/** Where bytes come from, front to end. */
interface Origin extends AsyncDisposable {
  /** Puts the next bytes into `memory` from `at` on and says how many; 0 at the end. */
  read(memory: Buffer, at: number): Promise<number>
}

/**
 * Bytes of a file or an HTTP answer, taken from front to end. They go through one piece of memory, no larger than what is read or taken at once: fresh memory
 * for all that is read cost a tenth of a packaging, most of it in the kernel.
 */
export class ByteSource implements AsyncDisposable {
  /** Last part of the path, for messages. */
  readonly #name: string
  readonly #origin: Origin
  #memory = Buffer.allocUnsafeSlow(readBytes)
  #start = 0
  #end = 0

  constructor(name: string, origin: Origin) {
    this.#name = name
    this.#origin = origin
  }

  /** Exactly so many bytes, valid until the next call. Throws `INPUT_DAMAGED` when there are fewer. */
  async take(length: number): Promise<Buffer> {
    if (this.#end - this.#start < length) await this.#fill(length)
    const start = this.#start
    this.#start += length
    return this.#memory.subarray(start, this.#start)
  }

  /** The error for a chunk that is not what was written. */
  damaged(why: string): AppError {
    return damaged(this.#name, why)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#origin[Symbol.asyncDispose]()
  }

  /** Moves what is left to the front and reads on until there are so many bytes. */
  async #fill(length: number): Promise<void> {
    const memory = length > this.#memory.length ? Buffer.allocUnsafeSlow(length) : this.#memory
    this.#end = this.#memory.copy(memory, 0, this.#start, this.#end)
    this.#start = 0
    this.#memory = memory
    while (this.#end < length) {
      const count = await this.#origin.read(memory, this.#end).catch((cause: unknown) => {
        throw new AppError('SOURCE_UNREACHABLE', `reading chunk "${this.#name}" failed: ${String(cause)}`, { cause })
      })
      if (count === 0) throw this.damaged(`it ends ${length - this.#end} bytes early`)
      this.#end += count
    }
  }
}

/** Opens a path or an `http:` address. Throws `INPUT_DAMAGED` when it is missing, `SOURCE_UNREACHABLE` when it cannot be had otherwise. */
export async function chunkBytes(location: string, signal: AbortSignal | undefined): Promise<ByteSource> {
  if (!location.startsWith('http:')) return new ByteSource(basename(location), new FileOrigin(await openFile(location)))
  const name = basename(new URL(location).pathname)
  const response = await fetch(location, { redirect: 'error', ...(signal ? { signal } : {}) }).catch((cause: unknown) => {
    throw new AppError('SOURCE_UNREACHABLE', `chunk "${name}" cannot be fetched: ${String(cause)}`, { cause })
  })
  const source = new ByteSource(name, new BodyOrigin(response.body ?? emptyBody()))
  if (response.status === 200) return source
  await source[Symbol.asyncDispose]()
  if (response.status === 404) throw source.damaged('it is missing')
  throw new AppError('SOURCE_UNREACHABLE', `chunk "${name}" cannot be fetched: the answer is ${response.status}`)
}

class FileOrigin implements Origin {
  readonly #file: FileHandle

  constructor(file: FileHandle) {
    this.#file = file
  }

  async read(memory: Buffer, at: number): Promise<number> {
    return (await this.#file.read(memory, at)).bytesRead
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

class BodyOrigin implements Origin {
  readonly #pieces: AsyncIterator<Uint8Array>
  #piece: Uint8Array = new Uint8Array()

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#pieces = body[Symbol.asyncIterator]()
  }

  async read(memory: Buffer, at: number): Promise<number> {
    while (this.#piece.length === 0) {
      const next = await this.#pieces.next()
      if (next.done) return 0
      this.#piece = next.value
    }
    const count = Math.min(this.#piece.length, memory.length - at)
    memory.set(this.#piece.subarray(0, count), at)
    this.#piece = this.#piece.subarray(count)
    return count
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces.return?.()
  }
}

async function openFile(path: string): Promise<FileHandle> {
  return await open(path, 'r').catch((cause: unknown) => {
    const name = basename(path)
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') throw damaged(name, 'it is missing')
    throw new AppError('SOURCE_UNREACHABLE', `chunk "${name}" cannot be opened: ${String(cause)}`, { cause })
  })
}

function damaged(name: string, why: string): AppError {
  return new AppError('INPUT_DAMAGED', `chunk "${name}" cannot be used: ${why}; it must be encoded again`)
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}
