import { blockBytes } from './wal-format.ts'

const firstBytes = 1024

/**
 * Which entries of a segment are not settled, a bit for each block: 128 KiB for 64 MiB of the smallest entries, where a `Set` of positions would take 10 MB.
 * Marking and unmarking twice does nothing.
 */
export class EntryMarks {
  #bits = new Uint8Array(0)
  #count = 0

  get count(): number {
    return this.#count
  }

  add(position: number): void {
    const { byte, bit } = placeOf(position)
    if (byte >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(byte + 1, 2 * this.#bits.length, firstBytes))
      grown.set(this.#bits)
      this.#bits = grown
    }
    const bits = this.#bits[byte] ?? 0
    if ((bits & bit) !== 0) return
    this.#bits[byte] = bits | bit
    this.#count += 1
  }

  /** False: it was not marked. */
  remove(position: number): boolean {
    const { byte, bit } = placeOf(position)
    const bits = this.#bits[byte] ?? 0
    if ((bits & bit) === 0) return false
    this.#bits[byte] = bits - bit
    this.#count -= 1
    return true
  }

  /** Unmarks all from a position on. */
  removeFrom(position: number): void {
    for (let at = position; at < this.#bits.length * 8 * blockBytes; at += blockBytes) this.remove(at)
  }
}

function placeOf(position: number): { byte: number; bit: number } {
  const block = Math.floor(position / blockBytes)
  return { byte: Math.floor(block / 8), bit: 2 ** (block % 8) }
}
