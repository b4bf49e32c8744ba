import { AppError } from '#lib/errors.ts'

/** A message as it came. */
export type Frame = { readonly isCompressed: boolean; readonly bytes: Buffer }

/** One byte that says whether the message is compressed, four for its length: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
const prefixBytes = 5

/** Cuts what comes over a stream into messages. A message that came in one piece is a view into it. */
export class FrameReader {
  readonly #maxMessageBytes: number
  #chunks: Buffer[] = []
  #bufferedBytes = 0
  #prefix: { readonly isCompressed: boolean; readonly lengthBytes: number } | undefined

  constructor({ maxMessageBytes }: { maxMessageBytes: number }) {
    this.#maxMessageBytes = maxMessageBytes
  }

  /** Bytes that are here and were not taken as messages. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }
  /** A message has begun that is not complete. */
  get isWithinMessage(): boolean {
    return this.#prefix !== undefined || this.#bufferedBytes > 0
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bufferedBytes += chunk.length
  }

  /** The size of the next message, once its beginning is here. Throws `LIMIT_EXCEEDED`, `MALFORMED`. */
  announced(): number | undefined {
    if (this.#prefix) return this.#prefix.lengthBytes
    if (this.#bufferedBytes < prefixBytes) return undefined
    const prefix = this.#take(prefixBytes)
    const flag = prefix.readUInt8(0)
    const lengthBytes = prefix.readUInt32BE(1)
    if (flag > 1) throw new AppError('MALFORMED', `a message begins with ${flag}; 0 or 1 says whether it is compressed`)
    if (lengthBytes > this.#maxMessageBytes) {
      const message = `a message of ${lengthBytes} bytes is above grpc.maxMessageBytes (${this.#maxMessageBytes}); send less at once`
      throw new AppError('LIMIT_EXCEEDED', message)
    }
    this.#prefix = { isCompressed: flag === 1, lengthBytes }
    return lengthBytes
  }

  /** The next whole message. Throws what `announced` does. */
  next(): Frame | undefined {
    const lengthBytes = this.announced()
    if (lengthBytes === undefined || !this.#prefix || this.#bufferedBytes < lengthBytes) return undefined
    const { isCompressed } = this.#prefix
    this.#prefix = undefined
    return { isCompressed, bytes: this.#take(lengthBytes) }
  }

  #take(length: number): Buffer {
    this.#bufferedBytes -= length
    const [first] = this.#chunks
    if (first && first.length >= length) {
      if (first.length === length) this.#chunks.shift()
      else this.#chunks[0] = first.subarray(length)
      return first.subarray(0, length)
    }
    return this.#join(length)
  }

  #join(length: number): Buffer {
    const joined = Buffer.allocUnsafe(length)
    let at = 0
    let used = 0
    for (const chunk of this.#chunks) {
      const taken = chunk.copy(joined, at)
      at += taken
      if (taken < chunk.length) {
        this.#chunks[used] = chunk.subarray(taken)
        break
      }
      used += 1
    }
    this.#chunks = this.#chunks.slice(used)
    return joined
  }
}
