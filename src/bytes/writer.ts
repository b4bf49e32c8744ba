/** Appends big-endian numbers and bytes to one growing buffer. */
export class Writer {
  #bytes: Buffer
  #view: DataView
  /** Bytes written so far. */
  pos = 0

  /** `memory`: how much to begin with, or bytes that nobody else uses. */
  constructor(memory: number | Buffer = 1024) {
    this.#bytes = typeof memory === 'number' ? Buffer.allocUnsafeSlow(memory) : memory
    this.#view = viewOf(this.#bytes)
  }

  // In all of these `#reserve` may replace the buffer, so it runs before `#view` and `#bytes` are read.
  u8(value: number): this {
    const at = this.#reserve(1)
    this.#view.setUint8(at, value)
    return this
  }
  u16(value: number): this {
    const at = this.#reserve(2)
    this.#view.setUint16(at, value)
    return this
  }
  u24(value: number): this {
    const at = this.#reserve(3)
    this.#view.setUint16(at, Math.floor(value / 256))
    this.#view.setUint8(at + 2, value % 256)
    return this
  }
  u32(value: number): this {
    const at = this.#reserve(4)
    this.#view.setUint32(at, value)
    return this
  }
  /** 64 bits from a number: exact up to 2^53. */
  u64(value: number): this {
    const at = this.#reserve(8)
    this.#view.setUint32(at, Math.floor(value / 2 ** 32))
    this.#view.setUint32(at + 4, value % 2 ** 32)
    return this
  }
  i8(value: number): this {
    const at = this.#reserve(1)
    this.#view.setInt8(at, value)
    return this
  }
  i16(value: number): this {
    const at = this.#reserve(2)
    this.#view.setInt16(at, value)
    return this
  }
  i32(value: number): this {
    const at = this.#reserve(4)
    this.#view.setInt32(at, value)
    return this
  }
  /** 64 signed bits from a number: exact up to ±2^53. */
  i64(value: number): this {
    const at = this.#reserve(8)
    this.#view.setInt32(at, Math.floor(value / 2 ** 32))
    this.#view.setUint32(at + 4, value) // modulo 2^32, also below zero
    return this
  }
  /** Up to 32 bits in groups of seven, lowest first, each but the last with its top bit set (unsigned LEB128). */
  uvarint(value: number): this {
    let left = value
    while (left >= 0x80) {
      this.u8((left % 0x80) + 0x80)
      left = Math.floor(left / 0x80)
    }
    return this.u8(left)
  }
  raw(value: Uint8Array): this {
    const at = this.#reserve(value.length)
    this.#bytes.set(value, at)
    return this
  }
  zeros(length: number): this {
    const at = this.#reserve(length)
    this.#bytes.fill(0, at, at + length)
    return this
  }
  ascii(value: string): this {
    return this.raw(Buffer.from(value, 'latin1'))
  }
  /** UTF-8 text, of which the caller knows that it takes `length` bytes. */
  utf8(value: string, length: number): this {
    const at = this.#reserve(length)
    this.#bytes.write(value, at, length, 'utf8')
    return this
  }
  /** Overwrites 32 bits written before, such as a length known only afterwards. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value)
  }
  patchI32(at: number, value: number): void {
    this.#view.setInt32(at, value)
  }
  /** What was written, as a view; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.pos)
  }

  #reserve(length: number): number {
    const at = this.pos
    this.pos = at + length
    if (this.pos > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.pos))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
      this.#view = viewOf(grown)
    }
    return at
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
