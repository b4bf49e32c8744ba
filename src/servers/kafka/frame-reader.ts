import { AppError } from '#lib/errors.ts'

/** A frame above this gets its memory as it arrives: an announcement alone must not take 100 MiB. */
const firstBytes = 1_048_576
const growth = 4
const prefixBytes = 4
/** How TLS begins: a handshake record of version 3.x. */
const tlsHandshake = 0x1603

/**
 * Cuts the bytes of one connection into frames: an INT32 length, then as many bytes. What was pushed stays until `next` takes it, so that a reader
 * that is busy leaves the rest alone. Each frame has memory of its own, which belongs to whoever takes it.
 */
export class FrameReader {
  readonly #maxFrameBytes: () => number
  readonly #chunks: Buffer[] = []
  /** What of the first chunk was taken. */
  #taken = 0
  readonly #prefix = Buffer.alloc(prefixBytes)
  #prefixLength = 0
  #frame: Frame | undefined

  /** `maxFrameBytes` is asked for each frame. */
  constructor({ maxFrameBytes }: { maxFrameBytes: () => number }) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** The memory of the chunk belongs to whoever takes its bytes. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  /** The next whole frame, without its length; `undefined`: it is not there yet. Throws `LIMIT_EXCEEDED`, `MALFORMED`. */
  next(): Buffer | undefined {
    const whole = this.#takeWhole()
    if (whole) return whole
    this.#frame ??= this.#begin()
    const frame = this.#frame
    if (!frame) return undefined
    while (!frame.isWhole) {
      const chunk = this.#chunks[0]
      if (!chunk) return undefined
      this.#advance(frame.take(chunk, this.#taken))
    }
    this.#frame = undefined
    return frame.bytes
  }

  /** Takes the next frames where they lie, as long as `take` wants them; up to one that is not all in one chunk, or that `next` refuses. */
  takeWhile(take: (chunk: Buffer, start: number, end: number) => boolean): void {
    for (;;) {
      const chunk = this.#chunks[0]
      if (!chunk || this.#frame || this.#prefixLength > 0) return
      const start = this.#taken + prefixBytes
      if (start > chunk.length || this.#findFault(chunk, this.#taken)) return
      const end = start + chunk.readInt32BE(this.#taken)
      if (end > chunk.length || !take(chunk, start, end)) return
      this.#advance(end - this.#taken)
    }
  }

  /** Most frames are small and lie in one chunk. */
  #takeWhole(): Buffer | undefined {
    let bytes: Buffer | undefined
    this.takeWhile((chunk, start, end) => {
      if (bytes) return false
      bytes = Buffer.allocUnsafe(end - start)
      chunk.copy(bytes, 0, start, end)
      return true
    })
    return bytes
  }

  #begin(): Frame | undefined {
    while (this.#prefixLength < prefixBytes) {
      const chunk = this.#chunks[0]
      if (!chunk) return undefined
      const copied = chunk.copy(this.#prefix, this.#prefixLength, this.#taken)
      this.#prefixLength += copied
      this.#advance(copied)
    }
    this.#prefixLength = 0
    return new Frame(this.#sizeAt(this.#prefix, 0))
  }

  #advance(bytes: number): void {
    this.#taken += bytes
    if (this.#taken < (this.#chunks[0]?.length ?? 0)) return
    this.#chunks.shift()
    this.#taken = 0
  }

  #sizeAt(bytes: Buffer, at: number): number {
    const fault = this.#findFault(bytes, at)
    if (fault) throw fault
    return bytes.readInt32BE(at)
  }

  #findFault(bytes: Buffer, at: number): AppError | undefined {
    const sizeBytes = bytes.readInt32BE(at)
    if (bytes.readUInt16BE(at) === tlsHandshake) {
      return new AppError('MALFORMED', 'the client speaks TLS and this port does not; connect to kafka.tlsPort')
    }
    if (sizeBytes <= 0) return new AppError('MALFORMED', `a frame of ${sizeBytes} bytes; this port speaks the Kafka protocol`)
    const maxBytes = this.#maxFrameBytes()
    if (sizeBytes <= maxBytes) return undefined
    return new AppError('LIMIT_EXCEEDED', `a request of ${sizeBytes} bytes is above the limit of ${maxBytes}; send less at once`)
  }
}

/** One frame on its way. */
class Frame {
  readonly #sizeBytes: number
  #bytes: Buffer
  #length = 0

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
    this.#bytes = Buffer.allocUnsafe(Math.min(sizeBytes, firstBytes))
  }

  get isWhole(): boolean {
    return this.#length === this.#sizeBytes
  }
  get bytes(): Buffer {
    return this.#bytes
  }

  /** Copies what belongs to the frame, from `at` on; returns how many bytes that were. */
  take(chunk: Buffer, at: number): number {
    const taken = Math.min(chunk.length - at, this.#sizeBytes - this.#length)
    this.#reserve(this.#length + taken)
    chunk.copy(this.#bytes, this.#length, at, at + taken)
    this.#length += taken
    return taken
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.min(this.#sizeBytes, Math.max(length, this.#bytes.length * growth)))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}
