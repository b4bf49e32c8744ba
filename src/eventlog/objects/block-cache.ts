export type LoadBlock = (block: { readonly objectKey: string; readonly index: number }) => Promise<Buffer>

/**
 * Blocks of objects in memory. Whoever asks for a block that is being loaded waits for the same load; the blocks that were not asked for longest go first when
 * there are more than `maxBytes`. Blocks that somebody still reads live on with him.
 */
export class BlockCache {
  readonly #load: LoadBlock
  readonly #maxBytes: number
  /** In order of use. */
  readonly #blocks = new Map<string, Buffer>()
  readonly #loads = new Map<string, Promise<Buffer>>()
  #sizeBytes = 0
  #hits = 0
  #misses = 0
  #loadedBytes = 0

  constructor({ load, maxBytes }: { load: LoadBlock; maxBytes: number }) {
    this.#load = load
    this.#maxBytes = maxBytes
  }

  get stats(): { readonly sizeBytes: number; readonly hits: number; readonly misses: number; readonly loadedBytes: number } {
    return { sizeBytes: this.#sizeBytes, hits: this.#hits, misses: this.#misses, loadedBytes: this.#loadedBytes }
  }

  /** The block, when it is in memory. */
  find(objectKey: string, index: number): Buffer | undefined {
    const id = idOf(objectKey, index)
    const block = this.#blocks.get(id)
    if (block === undefined) return undefined
    this.#hits += 1
    this.#blocks.delete(id)
    this.#blocks.set(id, block)
    return block
  }

  /** Loads a block that is not in memory. A load that fails is forgotten: the next one tries again. */
  load(objectKey: string, index: number): Promise<Buffer> {
    const id = idOf(objectKey, index)
    const running = this.#loads.get(id)
    if (running) return running
    this.#misses += 1
    const load = this.#loadInto(id, { objectKey, index })
    this.#loads.set(id, load)
    return load
  }

  /** Whether asking for the block would load it anew. */
  isMissing(objectKey: string, index: number): boolean {
    const id = idOf(objectKey, index)
    return !this.#blocks.has(id) && !this.#loads.has(id)
  }

  async #loadInto(id: string, block: { objectKey: string; index: number }): Promise<Buffer> {
    try {
      const bytes = await this.#load(block)
      this.#loadedBytes += bytes.length
      this.#keep(id, bytes)
      return bytes
    } finally {
      this.#loads.delete(id)
    }
  }

  #keep(id: string, bytes: Buffer): void {
    this.#blocks.set(id, bytes)
    this.#sizeBytes += bytes.length
    for (const [oldest, block] of this.#blocks) {
      if (this.#sizeBytes <= this.#maxBytes) return
      this.#blocks.delete(oldest)
      this.#sizeBytes -= block.length
    }
  }
}

function idOf(objectKey: string, index: number): string {
  return `${objectKey}#${index}`
}
