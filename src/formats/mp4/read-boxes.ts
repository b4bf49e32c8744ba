import { AppError } from '#lib/errors.ts'

/** A box inside a buffer, ISO/IEC 14496-12 §4.2. `body` is a view: what follows size and type. */
export type Box = { readonly type: string; readonly offset: number; readonly sizeBytes: number; readonly body: Buffer }

/** What the first 8 or 16 bytes of a box say. */
export type BoxHeader = { readonly type: string; readonly sizeBytes: number; readonly headerBytes: number }

/** A file or object of which any stretch can be read. `read` gives fewer bytes only at the end. */
export interface ByteSource {
  readonly sizeBytes: number
  /** How much to read at once for pieces that are small and follow one another; absent: 8192. */
  readonly windowBytes?: number
  read(position: number, length: number): Promise<Buffer>
}

/**
 * The header of the box at `at`. `availableBytes` is what is left of its container from there on: a size of 0 means all of it.
 * Throws `TRUNCATED` when the header or the box does not fit, `MALFORMED` when the size is smaller than the header.
 */
export function readBoxHeader(bytes: Buffer, at: number, availableBytes = bytes.length - at): BoxHeader {
  if (availableBytes < 8 || at + 8 > bytes.length)
    throw new AppError('TRUNCATED', `no box header at offset ${at}: ${availableBytes} bytes left`)
  const size32 = bytes.readUInt32BE(at)
  const type = bytes.toString('latin1', at + 4, at + 8)
  if (size32 === 1 && at + 16 > bytes.length)
    throw new AppError('TRUNCATED', `box "${type}" at offset ${at} ends within its size`)
  const headerBytes = size32 === 1 ? 16 : 8
  const sizeBytes = size32 === 0 ? availableBytes : size32 === 1 ? Number(bytes.readBigUInt64BE(at + 8)) : size32
  if (sizeBytes < headerBytes) throw new AppError('MALFORMED', `box "${printable(type)}" at offset ${at} has size ${sizeBytes}`)
  if (sizeBytes > availableBytes) {
    throw new AppError(
      'TRUNCATED',
      `box "${printable(type)}" at offset ${at} has size ${sizeBytes}, ${availableBytes} bytes are left`,
    )
  }
  return { type, sizeBytes, headerBytes }
}

/** The boxes that fill `bytes`, in order. `baseOffset` is where `bytes` begins in its file. Throws as `readBoxHeader`. */
export function* boxesIn(bytes: Buffer, baseOffset = 0): Generator<Box> {
  for (let at = 0; at < bytes.length;) {
    const { type, sizeBytes, headerBytes } = readBoxHeader(bytes, at)
    yield { type, offset: baseOffset + at, sizeBytes, body: bytes.subarray(at + headerBytes, at + sizeBytes) }
    at += sizeBytes
  }
}

/** The body of the first box at the end of a path of types: `findBox(moov, 'mvex', 'trex')`. Undefined when a step is absent. */
export function findBox(bytes: Buffer, ...path: readonly string[]): Buffer | undefined {
  let body: Buffer | undefined = bytes
  for (const type of path) {
    if (!body) return undefined
    body = firstBox(body, type)
  }
  return body
}

/** As `findBox`; throws `MALFORMED` when the box is absent. */
export function requireBox(bytes: Buffer, ...path: readonly string[]): Buffer {
  const body = findBox(bytes, ...path)
  if (!body) throw new AppError('MALFORMED', `no "${path.join('/')}" box in ${bytes.length} bytes`)
  return body
}

function firstBox(bytes: Buffer, type: string): Buffer | undefined {
  for (const box of boxesIn(bytes)) if (box.type === type) return box.body
  return undefined
}

/** Reads small pieces of a file one after the other with few reads: each read brings a window along. */
export class WindowedReader {
  readonly #source: ByteSource
  readonly #windowBytes: number
  #window: Buffer = Buffer.alloc(0)
  #windowAt = 0

  constructor(source: ByteSource, windowBytes = source.windowBytes ?? 8192) {
    this.#source = source
    this.#windowBytes = windowBytes
  }

  /** `length` bytes at `position`, fewer only at the end of the file. A view into the window: valid for as long as it is held. */
  async view(position: number, length: number): Promise<Buffer> {
    const from = position - this.#windowAt
    if (from < 0 || from + length > this.#window.length) {
      this.#window = await this.#source.read(position, Math.max(length, this.#windowBytes))
      this.#windowAt = position
      return this.#window.subarray(0, length)
    }
    return this.#window.subarray(from, from + length)
  }

  /** The header of the box at `position`. Throws as `readBoxHeader`. */
  async header(position: number): Promise<BoxHeader> {
    return readBoxHeader(await this.view(position, 16), 0, this.#source.sizeBytes - position)
  }
}

function printable(type: string): string {
  return type.replaceAll(/[^ -~]/g, '?')
}
