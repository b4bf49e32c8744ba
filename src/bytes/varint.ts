import { AppError } from '#lib/errors.ts'

// Signed numbers in groups of seven bits, lowest first, each byte but the last with its top bit set; the sign is the lowest bit of all
// (zigzag LEB128: `sint32` and `sint64` of Protocol Buffers, varint and varlong of Kafka).

/** Bytes that `writeVarint` takes for an integer. */
export function varintBytes(value: number): number {
  let rest = value < 0 ? -1 - value : value
  if (rest < 0x40) return 1
  if (rest < 0x2000) return 2
  let length = 3
  for (rest = Math.floor(rest / 0x10_0000); rest >= 1; rest /= 0x80) length += 1
  return length
}

/** Writes an integer, exact up to ±2^53, and tells where the next byte goes. The caller has seen to the room. */
export function writeVarint(bytes: Buffer, at: number, value: number): number {
  const magnitude = value < 0 ? -1 - value : value
  const sign = value < 0 ? 1 : 0
  if (magnitude < 0x40) {
    bytes[at] = magnitude * 2 + sign
    return at + 1
  }
  let next = at
  bytes[next++] = 0x80 + (magnitude % 0x40) * 2 + sign
  let rest = Math.floor(magnitude / 0x40)
  while (rest >= 0x80) {
    bytes[next++] = 0x80 + (rest % 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes[next++] = rest
  return next
}

/** Reads variable-length numbers and slices. Never copies; throws `TRUNCATED` instead of reading past the end. */
export class VarintReader {
  readonly bytes: Buffer
  /** Bytes read so far. */
  pos = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get remaining(): number {
    return this.bytes.length - this.pos
  }

  u8(): number {
    const byte = this.bytes[this.pos]
    if (byte === undefined) throw new AppError('TRUNCATED', `need a byte at offset ${this.pos}, none left`)
    this.pos += 1
    return byte
  }

  /** Throws `MALFORMED` beyond ±2^53, where a number would no longer be exact. */
  varint(): number {
    const first = this.u8()
    if (first < 0x80) return (first >>> 1) ^ -(first & 1)
    const second = this.u8()
    if (second < 0x80) return (((first & 0x7f) >>> 1) | (second << 6)) ^ -(first & 1)
    return this.#long(first, second)
  }

  /** The next `length` bytes, as a view into the same memory. */
  slice(length: number): Buffer {
    const at = this.pos
    this.skip(length)
    return this.bytes.subarray(at, at + length)
  }

  skip(length: number): void {
    if (length < 0 || length > this.remaining) {
      throw new AppError('TRUNCATED', `need ${length} bytes at offset ${this.pos}, ${this.remaining} left`)
    }
    this.pos += length
  }

  #long(first: number, second: number): number {
    let magnitude = ((first & 0x7f) >>> 1) + (second & 0x7f) * 0x40
    for (let unit = 0x2000; unit < 2 ** 64; unit *= 0x80) {
      const byte = this.u8()
      magnitude += (byte & 0x7f) * unit
      if (byte >= 0x80) continue
      if (magnitude >= 2 ** 53) break
      return (first & 1) === 0 ? magnitude : -1 - magnitude
    }
    throw new AppError('MALFORMED', `the variable-length number before offset ${this.pos} is beyond 2^53`)
  }
}
