/** Blocks of files in memory, at most so many bytes; what was not used for the longest time goes first. Keys are the caller's. */
export class BlockCache {
  readonly #capacityBytes: number
  readonly #blocks = new Map<string, Buffer>()
  #sizeBytes = 0

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  find(key: string): Buffer | undefined {
    const block = this.#blocks.get(key)
    if (block === undefined) return undefined
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    return block
  }

  /** One that is larger than the whole cache is not kept. */
  add(key: string, block: Buffer): void {
    this.#remove(key)
    if (block.length > this.#capacityBytes) return
    this.#blocks.set(key, block)
    this.#sizeBytes += block.length
    for (const oldest of this.#blocks.keys()) {
      if (this.#sizeBytes <= this.#capacityBytes) return
      this.#remove(oldest)
    }
  }

  #remove(key: string): void {
    this.#sizeBytes -= this.#blocks.get(key)?.length ?? 0
    this.#blocks.delete(key)
  }
}
