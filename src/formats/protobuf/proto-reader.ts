import { AppError } from '#lib/errors.ts'

/** How the bytes of a field are laid out; the lowest three bits of its tag. Groups (3 and 4) are of the past. */
export const wireTypes = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const

const groupUnit = 2 ** 28
/** More than any message here has; what is unknown is passed over without nesting. */
const maxFieldNumber = 2 ** 29 - 1

/**
 * Reads the fields of a message: https://protobuf.dev/programming-guides/encoding/ Never copies; throws `TRUNCATED` instead of reading past the end of the
 * message that is being read, `MALFORMED` for what is no message.
 */
export class ProtoReader {
  readonly bytes: Buffer
  pos: number
  /** End of the message that is being read. */
  end: number

  constructor(bytes: Buffer, pos = 0, end = bytes.length) {
    this.bytes = bytes
    this.pos = pos
    this.end = end
  }

  get hasMore(): boolean {
    return this.pos < this.end
  }

  /** The tag of the next field: its number times eight, and its wire type. */
  tag(): number {
    const tag = this.uint()
    if (tag < 8 || tag > maxFieldNumber * 8 + 7) throw this.malformed(`a field with the tag ${tag}`)
    return tag
  }

  /** Unsigned, exact to 2^53; beyond that throws `MALFORMED`. */
  uint(): number {
    const first = this.#byte()
    if (first < 0x80) return first
    let value = first - 0x80
    for (let unit = 0x80; unit < 2 ** 63; unit *= 0x80) {
      const byte = this.#byte()
      if (byte >= 0x80) {
        value += (byte - 0x80) * unit
        continue
      }
      value += byte * unit
      if (value < 2 ** 53) return value
      break
    }
    throw this.malformed('a number beyond 2^53')
  }

  /** Signed (int32, int64): two's complement of 64 bits, so that what is below zero takes ten bytes. Exact to ±2^53; beyond that throws `MALFORMED`. */
  int(): number {
    const start = this.pos
    const first = this.#byte()
    if (first < 0x80) return first
    // Three parts that are exact: 28 bits, 28 bits, and the 8 on top, of which the first is the sign.
    const parts = [first - 0x80, 0, 0]
    for (let group = 1; group < 10; group++) {
      const byte = this.#byte()
      const part = Math.floor(group / 4)
      parts[part] = (parts[part] ?? 0) + (byte % 0x80) * 0x80 ** (group % 4)
      if (byte >= 0x80) continue
      const [low = 0, middle = 0, high = 0] = parts
      const value = ((high < 0x80 ? high : (high % 0x100) - 0x100) * groupUnit + middle) * groupUnit + low
      if (Number.isSafeInteger(value)) return value
      break
    }
    throw this.malformed(`a number beyond 2^53 at offset ${start}`)
  }

  /** The end of a length-delimited field that begins here. */
  lengthEnd(): number {
    const length = this.uint()
    const end = this.pos + length
    if (end > this.end) throw new AppError('TRUNCATED', `need ${length} bytes at offset ${this.pos}, ${this.end - this.pos} left`)
    return end
  }

  /** A view into the message. */
  slice(): Buffer {
    const end = this.lengthEnd()
    const start = this.pos
    this.pos = end
    return this.bytes.subarray(start, end)
  }

  /** UTF-8; what is none reads as U+FFFD. */
  text(): string {
    const end = this.lengthEnd()
    const start = this.pos
    this.pos = end
    return this.bytes.toString('utf8', start, end)
  }

  /** Passes over the value of a field. */
  skip(wireType: number): void {
    switch (wireType) {
      case wireTypes.varint:
        for (let length = 1; this.#byte() >= 0x80; length++)
          if (length === 10) throw this.malformed('a number of more than ten bytes')
        return
      case wireTypes.fixed64:
        return this.#pass(8)
      case wireTypes.lengthDelimited:
        this.pos = this.lengthEnd()
        return
      case wireTypes.fixed32:
        return this.#pass(4)
      default:
        throw this.malformed(`a field of wire type ${wireType}`)
    }
  }

  malformed(what: string): AppError {
    return new AppError('MALFORMED', `protobuf message with ${what} before offset ${this.pos}`)
  }

  #pass(length: number): void {
    if (this.end - this.pos < length) {
      throw new AppError('TRUNCATED', `need ${length} bytes at offset ${this.pos}, ${this.end - this.pos} left`)
    }
    this.pos += length
  }

  #byte(): number {
    const { pos } = this
    const byte = this.bytes[pos]
    if (byte === undefined || pos >= this.end) throw new AppError('TRUNCATED', `need a byte at offset ${pos}, none left`)
    this.pos = pos + 1
    return byte
  }
}
