import { AppError } from '#lib/errors.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { readRange } from '#store/objects/read-range.ts'
import { type BoxRange, type BoxIndexTable, readChunk, readTable, tableBytes } from './box-index.ts'

/** All of the index of ten minutes, in one request. */
const firstBytes = 2 ** 20

/** The index of an archived file: answers what lies within its boxes. Holds its first mebibyte and one chunk at a time. */
export class ArchivedBoxes {
  readonly #objects: Pick<ObjectStore, 'get'>
  readonly #key: string
  readonly #table: BoxIndexTable
  /** What the object begins with. */
  readonly #first: Buffer
  /** Where each chunk begins in the object. */
  readonly #starts: readonly number[]
  #current: { readonly chunk: number; readonly ranges: readonly BoxRange[] } | undefined

  private constructor(objects: Pick<ObjectStore, 'get'>, key: string, first: Buffer) {
    this.#objects = objects
    this.#key = key
    this.#first = first
    this.#table = readTable(first)
    let at = tableBytes(this.#table.chunks.length)
    this.#starts = this.#table.chunks.map(({ sizeBytes }) => (at += sizeBytes) - sizeBytes)
  }

  /**
   * Undefined when there is none that is sound, or it is of another file than one of `fileBytes`. Throws `OBJECTS_UNAVAILABLE`.
   */
  static async load(
    objects: Pick<ObjectStore, 'get'>,
    { key, fileBytes }: { key: string; fileBytes: number },
  ): Promise<ArchivedBoxes | undefined> {
    return await unlessUnsound(async () => {
      const { bytes } = await readRange(objects, { key, offsetBytes: 0, lengthBytes: firstBytes })
      const boxes = new ArchivedBoxes(objects, key, bytes)
      return boxes.#table.fileBytes === fileBytes ? boxes : undefined
    })
  }

  /** The bytes of the file at `position`, when all of them are of its boxes. Throws `OBJECTS_UNAVAILABLE`. */
  async find(position: number, length: number): Promise<Buffer | undefined> {
    const chunk = lastAtOrBefore(this.#table.chunks, position)
    if (chunk < 0) return undefined
    const ranges = this.#current?.chunk === chunk ? this.#current.ranges : await this.#load(chunk)
    this.#current = { chunk, ranges }
    const range = ranges[lastAtOrBefore(ranges, position)]
    const from = position - (range?.offset ?? position)
    return range && from + length <= range.bytes.length ? range.bytes.subarray(from, from + length) : undefined
  }

  /** A chunk that is damaged has no ranges. */
  async #load(chunk: number): Promise<readonly BoxRange[]> {
    const place = this.#table.chunks[chunk]
    const start = this.#starts[chunk]
    if (!place || start === undefined) return []
    const ranges = await unlessUnsound(async () => {
      const end = start + place.sizeBytes
      const range = { key: this.#key, offsetBytes: start, lengthBytes: place.sizeBytes }
      const bytes = end <= this.#first.length ? this.#first.subarray(start, end) : (await readRange(this.#objects, range)).bytes
      return readChunk(bytes, place)
    })
    return ranges ?? []
  }
}

const unsound: ReadonlySet<string> = new Set([
  'OBJECT_NOT_FOUND',
  'RANGE_NOT_SATISFIABLE',
  'MALFORMED',
  'TRUNCATED',
  'UNSUPPORTED',
])

/** Without an index a file is read all the same, with more requests. */
async function unlessUnsound<T>(load: () => Promise<T>): Promise<T | undefined> {
  try {
    return await load()
  } catch (error) {
    if (error instanceof AppError && unsound.has(error.code)) return undefined
    throw error
  }
}

/** The index of the last item that begins at or before `position`; -1: none does. */
function lastAtOrBefore(items: readonly { readonly offset: number }[], position: number): number {
  let low = -1
  let high = items.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((items[middle]?.offset ?? Infinity) <= position) low = middle
    else high = middle - 1
  }
  return low
}
