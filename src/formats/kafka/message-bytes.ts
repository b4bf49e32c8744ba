import { Reader } from '#bytes/reader.ts'
import { Writer } from '#bytes/writer.ts'
import { AppError } from '#lib/errors.ts'

/** Array items that one message may hold in all its arrays together: a few bytes each on the wire, but an object each in memory. */
export const maxMessageItems = 250_000

/** Answers to one batch, heartbeats and commits fit. */
const firstBytes = 256

/** Reads one Kafka message. All its arrays share one allowance of items. Views into the same memory, as of `Reader`. */
export class MessageReader extends Reader {
  #itemsLeft = maxMessageItems

  /** Takes the count of an array before anything is allocated for it; each item has a byte at least. */
  takeItems(count: number): number {
    if (count > this.remaining) {
      throw new AppError('TRUNCATED', `need ${count} array items at offset ${this.pos}, ${this.remaining} bytes left`)
    }
    this.#itemsLeft -= count
    if (this.#itemsLeft < 0) {
      throw new AppError('LIMIT_EXCEEDED', `a Kafka message may hold ${maxMessageItems} array items; ask for less at once`)
    }
    return count
  }
}

/** Writes one Kafka message. Large byte strings can stay where they are, as chunks of their own. */
export class MessageWriter extends Writer {
  readonly #borrowFromBytes: number
  readonly #borrowed: { readonly at: number; readonly bytes: Buffer }[] = []
  #borrowedBytes = 0

  /** Byte strings of `borrowFromBytes` and more are not copied; without it, all are. */
  constructor(options: { borrowFromBytes?: number } = {}) {
    // From the pool that small buffers share: memory of its own costs a small answer more than all else of it.
    super(Buffer.allocUnsafe(firstBytes))
    this.#borrowFromBytes = options.borrowFromBytes ?? Number.POSITIVE_INFINITY
  }

  /** Bytes of the message so far, including those that are not copied. */
  get sizeBytes(): number {
    return this.pos + this.#borrowedBytes
  }

  /** Appends bytes that the caller does not change until the chunks are sent. */
  bulk(bytes: Buffer): this {
    if (bytes.length < this.#borrowFromBytes) return this.raw(bytes)
    this.#borrowed.push({ at: this.pos, bytes })
    this.#borrowedBytes += bytes.length
    return this
  }

  /** What was written, in order; the writer must not be used afterwards. */
  chunks(): Buffer[] {
    const copied = this.finish()
    const chunks: Buffer[] = []
    let from = 0
    for (const { at, bytes } of this.#borrowed) {
      if (at > from) chunks.push(copied.subarray(from, at))
      chunks.push(bytes)
      from = at
    }
    if (copied.length > from) chunks.push(copied.subarray(from))
    return chunks
  }
}
