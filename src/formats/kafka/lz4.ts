import { Reader } from '#bytes/reader.ts'
import { AppError } from '#lib/errors.ts'
import { copyLiterals, repeatBytes } from './lz77.ts'

const frameMagic = 0x184d_2204
/** Bits of the FLG byte. */
const frameFlags = { dictionary: 0x01, contentChecksum: 0x04, contentSize: 0x08, blockChecksum: 0x10, version: 0xc0 } as const
const frameVersion = 0x40
const checksumBytes = 4
/** Set in the length of a block that is stored as it was. */
const storedBlock = 0x8000_0000
/** Each byte of a block stands for 255 at most, so a block needs no more room than that. */
const maxRatio = 255

/**
 * Decompresses LZ4 frames (LZ4 Frame Format 1.6.4): one or more, blocks independent or linked, with or without sizes and checksums. The checksums are not
 * compared: the CRC of the batch covers the same bytes. Throws `MALFORMED`, `TRUNCATED`; `UNSUPPORTED` for dictionaries; `LIMIT_EXCEEDED` above `maxBytes`.
 *
 * Own code, 0.4 GB/s of JSON: WebAssembly (`@platformatic/wasm-utils`) gives 1 GB/s but knows no limit, traps on bad input, and never gives memory back.
 */
export function decompressLz4(bytes: Buffer, maxBytes: number): Buffer {
  const r = new Reader(bytes)
  const output = new Output(maxBytes)
  do readFrame(r, output)
  while (r.remaining > 0)
  return output.finish()
}

function readFrame(r: Reader, output: Output): void {
  if (u32(r) !== frameMagic) throw new AppError('MALFORMED', `no LZ4 frame at offset ${r.pos - 4}`)
  const flags = r.u8() // FLG
  const maxBlockBytes = blockBytesOf(r.u8()) // BD
  if ((flags & frameFlags.version) !== frameVersion)
    throw new AppError('MALFORMED', `LZ4 frame version ${flags >>> 6}, must be 1`)
  if ((flags & frameFlags.dictionary) !== 0)
    throw new AppError('UNSUPPORTED', 'LZ4 frame with a dictionary; compress without one')
  if ((flags & frameFlags.contentSize) !== 0) r.skip(8)
  r.skip(1) // HC
  for (let blockBytes = u32(r); blockBytes !== 0; blockBytes = u32(r)) {
    const isStored = blockBytes >= storedBlock
    const block = r.slice(isStored ? blockBytes - storedBlock : blockBytes)
    if (block.length > maxBlockBytes)
      throw new AppError('MALFORMED', `LZ4 block of ${block.length} bytes in a frame of smaller ones`)
    if ((flags & frameFlags.blockChecksum) !== 0) r.skip(checksumBytes)
    output.reserve(isStored ? block.length : Math.min(maxBlockBytes, block.length * maxRatio))
    if (isStored) output.append(block)
    else output.unpack(block)
  }
  if ((flags & frameFlags.contentChecksum) !== 0) r.skip(checksumBytes)
}

/** 64 KiB, 256 KiB, 1 MiB, 4 MiB for 4 to 7. */
function blockBytesOf(descriptor: number): number {
  const size = (descriptor >>> 4) & 7
  if (size < 4) throw new AppError('MALFORMED', `LZ4 frame with block size ${size}, must be 4 to 7`)
  return 2 ** (8 + 2 * size)
}

function u32(r: Reader): number {
  return r.slice(4).readUInt32LE()
}

/** Grows by blocks as they come, so that hostile input never gets more memory than it fills. */
class Output {
  readonly #maxBytes: number
  #bytes: Buffer = Buffer.alloc(0)
  #length = 0
  #limit = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  reserve(lengthBytes: number): void {
    this.#limit = Math.min(this.#length + lengthBytes, this.#maxBytes)
    if (this.#limit <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.min(Math.max(this.#limit, this.#bytes.length * 2), this.#maxBytes))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }

  append(stored: Buffer): void {
    this.#need(this.#length + stored.length)
    stored.copy(this.#bytes, this.#length)
    this.#length += stored.length
  }

  /** The sequences of one block, LZ4 Block Format. Missing bytes read as 0 and are noticed by the next check of the position. */
  unpack(block: Buffer): void {
    const output = this.#bytes
    let from = 0
    let to = this.#length
    for (;;) {
      const token = block[from++] ?? 0
      let literals = token >>> 4
      if (literals === 15) {
        for (let more = 255; more === 255; literals += more) more = block[from++] ?? 0
      }
      if (from + literals > block.length) throw broken(from)
      this.#need(to + literals)
      copyLiterals(block, from, output, to, literals)
      from += literals
      to += literals
      if (from === block.length) break
      const distance = (block[from] ?? 0) + (block[from + 1] ?? 0) * 256
      from += 2
      let length = (token & 15) + 4
      if (length === 19) {
        for (let more = 255; more === 255; length += more) more = block[from++] ?? 0
      }
      if (from >= block.length || distance === 0 || distance > to) throw broken(from)
      this.#need(to + length)
      repeatBytes(output, to, distance, length)
      to += length
    }
    this.#length = to
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #need(end: number): void {
    if (end <= this.#limit) return
    if (end > this.#maxBytes) throw new AppError('LIMIT_EXCEEDED', `LZ4 data above the ${this.#maxBytes} bytes that are allowed`)
    throw new AppError('MALFORMED', 'LZ4 block is larger than its frame allows')
  }
}

function broken(at: number): AppError {
  return new AppError('MALFORMED', `LZ4 sequence before offset ${at} reaches outside of its block or output`)
}
