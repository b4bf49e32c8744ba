import { AppError } from '#lib/errors.ts'
import type { BlockCache } from './block-cache.ts'

/** Objects are read and cached in blocks of this size, cut at its multiples. */
export const blockBytes = 2 ** 20

type Options = {
  readonly cache: BlockCache
  readonly objectKey: string
  /** What is surely wanted ends here: blocks before it are loaded ahead. */
  readonly wantedEndBytes: number
  readonly aheadBytes: number
  readonly signal?: AbortSignal | undefined
}

/** What one reader sees of an object as he moves through it: views into blocks, and copies only of what lies across two or more. */
export class BlockWindow {
  readonly #cache: BlockCache
  readonly #objectKey: string
  readonly #lastWanted: number
  readonly #aheadBlocks: number
  readonly #signal: AbortSignal | undefined
  readonly #blocks = new Map<number, Buffer | Promise<Buffer>>()

  constructor({ cache, objectKey, wantedEndBytes, aheadBytes, signal }: Options) {
    this.#cache = cache
    this.#objectKey = objectKey
    this.#lastWanted = blockAt(wantedEndBytes - 1)
    this.#aheadBlocks = Math.ceil(aheadBytes / blockBytes)
    this.#signal = signal
  }

  /** The bytes at a position, at once when they lie in one block that is in memory. Throws `LOG_DAMAGED` when the object ends before. */
  read(positionBytes: number, lengthBytes: number): Buffer | Promise<Buffer> {
    const index = blockAt(positionBytes)
    const block = this.#blocks.get(index)
    if (block instanceof Buffer && index === blockAt(positionBytes + lengthBytes - 1)) {
      return this.#cut(block, positionBytes - index * blockBytes, lengthBytes)
    }
    return this.#gather(positionBytes, lengthBytes)
  }

  async #gather(positionBytes: number, lengthBytes: number): Promise<Buffer> {
    const first = blockAt(positionBytes)
    const last = blockAt(positionBytes + lengthBytes - 1)
    for (const index of this.#blocks.keys()) if (index < first) this.#blocks.delete(index)
    if (first === last) return this.#cut(await this.#load(first), positionBytes - first * blockBytes, lengthBytes)
    const gathered = Buffer.allocUnsafeSlow(lengthBytes)
    for (let index = first, filled = 0; index <= last; index++) {
      const block = await this.#load(index)
      const at = positionBytes + filled - index * blockBytes
      const part = this.#cut(block, at, Math.min(blockBytes - at, lengthBytes - filled))
      part.copy(gathered, filled)
      filled += part.length
      if (index < last) this.#blocks.delete(index)
    }
    return gathered
  }

  async #load(index: number): Promise<Buffer> {
    const block = this.#want(index)
    for (let ahead = 1; ahead <= this.#aheadBlocks && index + ahead <= this.#lastWanted; ahead++) void this.#want(index + ahead)
    return block instanceof Promise ? await unlessAborted(block, this.#signal) : block
  }

  #want(index: number): Buffer | Promise<Buffer> {
    const known = this.#blocks.get(index)
    if (known) return known
    const block = this.#cache.find(this.#objectKey, index) ?? this.#request(index)
    this.#blocks.set(index, block)
    return block
  }

  #request(index: number): Promise<Buffer> {
    const loaded = this.#cache.load(this.#objectKey, index).then((block) => {
      if (this.#blocks.has(index)) this.#blocks.set(index, block)
      return block
    })
    loaded.catch(() => undefined) // whoever needs the block meets the failure
    return loaded
  }

  #cut(block: Buffer, at: number, lengthBytes: number): Buffer {
    if (at + lengthBytes <= block.length) return block.subarray(at, at + lengthBytes)
    throw new AppError('LOG_DAMAGED', `object ${this.#objectKey} is shorter than the database says`)
  }
}

export function blockAt(positionBytes: number): number {
  return Math.floor(positionBytes / blockBytes)
}

/** The load goes on for others when one of those who wait for it gives up. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
