import { AppError } from '#lib/errors.ts'

/** Reads big-endian numbers and slices from one buffer, keeping a cursor. Never copies; throws `TRUNCATED` instead of reading past the end. */
export class Reader {
  readonly bytes: Buffer
  readonly #view: DataView
  /** Bytes read so far. */
  pos = 0

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.bytes.length - this.pos
  }
  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2))
  }
  u24(): number {
    const at = this.#take(3)
    return this.#view.getUint16(at) * 256 + this.#view.getUint8(at + 2)
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4))
  }
  /** 64 bits as a number: exact up to 2^53. */
  u64(): number {
    const at = this.#take(8)
    return this.#view.getUint32(at) * 2 ** 32 + this.#view.getUint32(at + 4)
  }
  i8(): number {
    return this.#view.getInt8(this.#take(1))
  }
  i16(): number {
    return this.#view.getInt16(this.#take(2))
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4))
  }
  /** 64 signed bits as a number; throws `MALFORMED` beyond ±2^53, where a number would no longer be exact. */
  i64(): number {
    const at = this.#take(8)
    const value = this.#view.getInt32(at) * 2 ** 32 + this.#view.getUint32(at + 4)
    if (!Number.isSafeInteger(value)) throw new AppError('MALFORMED', `the 64-bit number at offset ${at} is beyond 2^53`)
    return value
  }
  /** Up to 32 bits in groups of seven, lowest first, each but the last with its top bit set (unsigned LEB128). */
  uvarint(): number {
    const first = this.u8()
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let unit = 2 ** 7; unit <= 2 ** 28; unit *= 2 ** 7) {
      const byte = this.u8()
      value += (byte & 0x7f) * unit
      if (byte < 0x80 && value < 2 ** 32) return value
    }
    throw new AppError('MALFORMED', `the variable-length number before offset ${this.pos} has more than 32 bits`)
  }
  /** The next `length` bytes, as a view into the same memory. */
  slice(length: number): Buffer {
    const at = this.#take(length)
    return this.bytes.subarray(at, at + length)
  }
  /** All that is left, as a view. */
  rest(): Buffer {
    return this.slice(this.remaining)
  }
  /** ASCII text of a fixed length. */
  ascii(length: number): string {
    return this.slice(length).toString('latin1')
  }
  /** UTF-8 text that takes `length` bytes; what is no UTF-8 reads as U+FFFD. */
  utf8(length: number): string {
    const at = this.#take(length)
    return this.bytes.toString('utf8', at, at + length)
  }
  skip(length: number): void {
    this.#take(length)
  }

  #take(length: number): number {
    const at = this.pos
    if (length < 0 || at + length > this.bytes.length) {
      throw new AppError('TRUNCATED', `need ${length} bytes at offset ${at}, ${this.remaining} left`)
    }
    this.pos = at + length
    return at
  }
}
