/**
 * Gives out pieces of larger slabs, for frames that live about as long as their neighbours. A slab is freed when its last piece is.
 *
 * One slab of 256 KiB in place of a buffer for each frame: with 100 streams of 4 Mbit/s that is 200 allocations a second for the collector
 * to know and not 7,000.
 */
export class Slabs {
  readonly #slabBytes: number
  #slab = Buffer.alloc(0)
  #used = 0

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes
  }

  /** Uninitialized memory of exactly this size. What is larger than a quarter of a slab gets one of its own. */
  take(sizeBytes: number): Buffer {
    if (sizeBytes > this.#slabBytes / 4) return Buffer.allocUnsafeSlow(sizeBytes)
    if (this.#used + sizeBytes > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(this.#slabBytes)
      this.#used = 0
    }
    const piece = this.#slab.subarray(this.#used, this.#used + sizeBytes)
    this.#used += sizeBytes
    return piece
  }
}
