import { AppError } from '#lib/errors.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { readRange } from '#store/objects/read-range.ts'
import { ArchivedBoxes } from './archived-boxes.ts'
import { mediaHeaderBytes } from './index-file.ts'
import { type SegmentRange, type SegmentSource, spansOf } from './segment-source.ts'

/** What is read at once where the index does not help. */
const windowBytes = 65_536

/** The objects that an archived file is. */
export type ArchivedKeys = { readonly media: string; readonly boxes: string }

/** An archived file: headers come out of its index, which is loaded with the first of them; media by ranged requests. */
export class ArchivedSource implements SegmentSource {
  readonly sizeBytes: number
  /** No more: what lies behind a header is media, which costs a request. */
  readonly windowBytes = mediaHeaderBytes
  readonly #objects: Pick<ObjectStore, 'get'>
  readonly #keys: ArchivedKeys
  readonly #closing = new AbortController()
  #boxes: Promise<ArchivedBoxes | undefined> | undefined
  #window: { readonly at: number; readonly bytes: Buffer } = { at: 0, bytes: Buffer.alloc(0) }

  private constructor(objects: Pick<ObjectStore, 'get'>, keys: ArchivedKeys, sizeBytes: number) {
    this.#objects = objects
    this.#keys = keys
    this.sizeBytes = sizeBytes
  }

  /** Throws `RECORDING_NOT_FOUND` when the object is gone, and what the store throws. */
  static async open(objects: Pick<ObjectStore, 'get' | 'head'>, keys: ArchivedKeys): Promise<ArchivedSource> {
    const { sizeBytes } = await unlessGone(keys.media, () => objects.head(keys.media))
    return new ArchivedSource(objects, keys, sizeBytes)
  }

  async read(position: number, length: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(length, this.sizeBytes - position))
    this.#boxes ??= ArchivedBoxes.load(this.#objects, { key: this.#keys.boxes, fileBytes: this.sizeBytes })
    const boxes = await this.#boxes
    return (await boxes?.find(position, wanted)) ?? (await this.#readWindow(position, wanted))
  }

  async *media(ranges: Iterable<SegmentRange>): AsyncGenerator<Buffer> {
    for (const { offset, sizeBytes, parts } of spansOf(ranges)) {
      const bytes = await this.#fetch(offset, sizeBytes)
      for (const part of parts) yield bytes.subarray(part.offset - offset, part.offset - offset + part.sizeBytes)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
  }

  async #readWindow(position: number, length: number): Promise<Buffer> {
    const from = position - this.#window.at
    if (from < 0 || from + length > this.#window.bytes.length) {
      const lengthBytes = Math.min(Math.max(length, windowBytes), this.sizeBytes - position)
      this.#window = { at: position, bytes: lengthBytes > 0 ? await this.#fetch(position, lengthBytes) : Buffer.alloc(0) }
      return this.#window.bytes.subarray(0, length)
    }
    return this.#window.bytes.subarray(from, from + length)
  }

  async #fetch(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const { media: key } = this.#keys
    const { signal } = this.#closing
    return (await unlessGone(key, () => readRange(this.#objects, { key, offsetBytes, lengthBytes, signal }))).bytes
  }
}

async function unlessGone<T>(key: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'OBJECT_NOT_FOUND') throw error
    throw new AppError('RECORDING_NOT_FOUND', `the archived file ${key} is gone; it was deleted`, { cause: error })
  }
}
