/**
 * Writes messages from their end to their beginning: https://protobuf.dev/programming-guides/encoding/ A length comes before what it counts, and is known only
 * after it; written backwards, it is known in time and nothing is written twice. So whoever writes a field writes its value first, then its tag.
 */
export class ProtoWriter {
  #bytes: Buffer
  /** Where the last write begins. */
  #at: number

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity)
    this.#at = capacity
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#bytes.length - this.#at
  }

  u8(value: number): void {
    const at = this.#take(1)
    this.#bytes[at] = value
  }

  u32(value: number): void {
    const at = this.#take(4)
    this.#bytes.writeUInt32BE(value, at)
  }

  /** Unsigned, exact to 2^53. */
  uint(value: number): void {
    if (value < 0x80) {
      this.u8(value)
      return
    }
    let length = 2
    for (let rest = value / 0x4000; rest >= 1; rest /= 0x80) length += 1
    let at = this.#take(length)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[at++] = (rest % 0x80) + 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[at] = rest
  }

  /** Signed (int32, int64), exact to ±2^53; below zero in ten bytes, two's complement of 64 bits. */
  int(value: number): void {
    if (value >= 0) {
      this.uint(value)
      return
    }
    let at = this.#take(10)
    // What is below zero by one less, with all bits the other way round.
    let rest = -1 - value
    for (let group = 0; group < 9; group++) {
      this.#bytes[at++] = 0xff - (rest % 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[at] = 1
  }

  raw(value: Buffer): void {
    const at = this.#take(value.length)
    this.#bytes.set(value, at)
  }

  text(value: string): void {
    const length = Buffer.byteLength(value)
    const at = this.#take(length)
    this.#bytes.write(value, at, length, 'utf8')
  }

  /** What was written, as a view; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(this.#at)
  }

  /** Where the next `length` bytes go. May replace the buffer, so it runs before `#bytes` is read. */
  #take(length: number): number {
    if (length > this.#at) this.#grow(length)
    this.#at -= length
    return this.#at
  }

  #grow(length: number): void {
    const written = this.length
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, written + length))
    this.#bytes.copy(grown, grown.length - written, this.#at)
    this.#bytes = grown
    this.#at = grown.length - written
  }
}
