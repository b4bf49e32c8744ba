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
  readonly #prefix = Buffer.alloc(prefixBytes)
  #prefixLength = 0
  #frame: Frame | undefined

  /** `maxFrameBytes` is asked for each frame. */
  constructor({ maxFrameBytes }: { maxFrameBytes: () => number }) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** The chunk must not change until its bytes were taken. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  /** The next whole frame, without its length; `undefined`: it is not there yet. Throws `LIMIT_EXCEEDED`, `MALFORMED`. */
  next(): Buffer | undefined {
    for (;;) {
      this.#frame ??= this.#begin()
      if (!this.#frame) return undefined
      const frame = this.#frame
      while (!frame.isWhole) {
        const chunk = this.#chunks.shift()
        if (!chunk) return undefined
        const taken = frame.take(chunk)
        if (taken < chunk.length) this.#chunks.unshift(chunk.subarray(taken))
      }
      this.#frame = undefined
      return frame.bytes
    }
  }

  #begin(): Frame | undefined {
    while (this.#prefixLength < prefixBytes) {
      const chunk = this.#chunks.shift()
      if (!chunk) return undefined
      const taken = chunk.copy(this.#prefix, this.#prefixLength)
      this.#prefixLength += taken
      if (taken < chunk.length) this.#chunks.unshift(chunk.subarray(taken))
    }
    this.#prefixLength = 0
    return new Frame(this.#checked(this.#prefix.readInt32BE()))
  }

  #checked(sizeBytes: number): number {
    if (this.#prefix.readUInt16BE() === tlsHandshake) {
      throw new AppError('MALFORMED', 'the client speaks TLS and this port does not; connect to kafka.tlsPort')
    }
    if (sizeBytes <= 0) throw new AppError('MALFORMED', `a frame of ${sizeBytes} bytes; this port speaks the Kafka protocol`)
    const maxBytes = this.#maxFrameBytes()
    if (sizeBytes <= maxBytes) return sizeBytes
    throw new AppError('LIMIT_EXCEEDED', `a request of ${sizeBytes} bytes is above the limit of ${maxBytes}; send less at once`)
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

  /** Copies what belongs to the frame; returns how many bytes that were. */
  take(chunk: Buffer): number {
    const taken = Math.min(chunk.length, this.#sizeBytes - this.#length)
    this.#reserve(this.#length + taken)
    chunk.copy(this.#bytes, this.#length, 0, taken)
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
