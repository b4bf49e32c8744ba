import { AppError, toAppError } from '#lib/errors.ts'
import type { BlockCache } from './block-cache.ts'
import type { RemoteFile } from './remote-file.ts'

const blockBytes = 1 << 20
/** Blocks that are loaded ahead of a reader that goes on and on. */
const maxAheadBlocks = 4

let lastId = 0

/**
 * A remote file in blocks, for any number of readers: a block is loaded once, whoever asks. Blocks of a file that tells its ETag stay in the cache while there
 * is room, also for who opens it later under the same key. A file whose loading failed has failed for good; the next attempt opens it anew.
 */
export class SourceFile implements Disposable {
  readonly #remote: RemoteFile
  readonly #cache: BlockCache
  readonly #key: string
  readonly #id = ++lastId
  readonly #loading = new Map<number, Promise<Buffer>>()
  readonly #closed = new AbortController()
  #failure: AppError | undefined

  constructor(key: string, remote: RemoteFile, cache: BlockCache) {
    this.#key = key
    this.#remote = remote
    this.#cache = cache
  }

  get failure(): AppError | undefined {
    return this.#failure
  }

  async loadSize(): Promise<number> {
    if (this.#remote.sizeBytes === undefined) await this.#block(0)
    const { sizeBytes } = this.#remote
    if (sizeBytes === undefined) throw new AppError('INTERNAL', 'a file was read and its size is not known')
    return sizeBytes
  }

  /** The bytes from the first to the last, both included, in pieces of one block at most. */
  async *read(firstByte: number, lastByte: number): AsyncGenerator<Buffer> {
    let aheadBlocks = 0
    for (let index = Math.floor(firstByte / blockBytes); index * blockBytes <= lastByte; index++) {
      const block = this.#block(index)
      for (let ahead = 1; ahead <= aheadBlocks; ahead++) this.#loadAhead(index + ahead, lastByte)
      const startByte = index * blockBytes
      const bytes = await block
      yield bytes.subarray(Math.max(0, firstByte - startByte), lastByte - startByte + 1)
      aheadBlocks = Math.min(maxAheadBlocks, aheadBlocks + 1)
    }
  }

  /** Ends what is being loaded. */
  [Symbol.dispose](): void {
    this.#closed.abort(new AppError('SHUTTING_DOWN', 'nobody reads this input any more'))
  }

  #loadAhead(index: number, lastByte: number): void {
    // Whoever reads this block gets its error then.
    if (index * blockBytes <= lastByte) this.#block(index).catch(() => undefined)
  }

  async #block(index: number): Promise<Buffer> {
    if (this.#failure) throw this.#failure
    const found = this.#cache.find(this.#cacheKey(index)) ?? this.#loading.get(index)
    if (found) return found
    const loading = this.#load(index)
    this.#loading.set(index, loading)
    try {
      const block = await loading
      this.#cache.add(this.#cacheKey(index), block)
      return block
    } finally {
      this.#loading.delete(index)
    }
  }

  /** Without an ETag nobody knows whether the next one who opens it has the same file. */
  #cacheKey(index: number): string {
    return `${this.#key} ${this.#remote.etag ?? this.#id} ${index}`
  }

  async #load(index: number): Promise<Buffer> {
    try {
      return await this.#remote.load(index * blockBytes, blockBytes, this.#closed.signal)
    } catch (error) {
      if (!this.#closed.signal.aborted) this.#failure = toAppError(error)
      throw error
    }
  }
}
