import type { DiskFile } from './disk.ts'
import {
  areBatchesIntact,
  blockBytes,
  entriesStart,
  entryBytes,
  entryHeaderBytes,
  entryMagicBytes,
  parsedBytes,
  parseEntryHeader,
  type EntryHeader,
} from './wal-format.ts'

/** What is needed to read the entries of a segment. */
export type Scannable = {
  readonly file: DiskFile
  readonly path: string
  readonly number: number
  readonly seed: number
  readonly fileBytes: number
}

/**
 * `gap`: nothing that can be read, up to the next intact header or the end of the file. After a seal nothing follows. `isIntact` tells of the batches, and is true
 * when they are not checked.
 */
export type Found =
  | {
      readonly kind: 'entry'
      readonly position: number
      readonly end: number
      readonly header: EntryHeader
      readonly isIntact: boolean
    }
  | { readonly kind: 'seal'; readonly position: number; readonly end: number; readonly header: EntryHeader }
  | { readonly kind: 'gap'; readonly position: number; readonly end: number }

type WalkOptions = { readonly from?: number; readonly checksBatches: boolean }

/** For a header whose neighbours are far away. */
const headerReadBytes = 4096
/** For headers that are near each other. */
const smallReadBytes = 65_536
/** For reading everything. */
const largeReadBytes = 1_048_576

/**
 * Goes through the entries of a segment with at most 1 MiB in memory, or one entry that is larger, from header to header when batches are not checked. Throws when the file cannot be read to
 * its end: that must never pass for the end of the log.
 */
export async function* walkSegment(
  segment: Scannable,
  { from = entriesStart, checksBatches }: WalkOptions,
): AsyncGenerator<Found> {
  const window = new FileWindow(segment)
  let readBytes = checksBatches ? largeReadBytes : smallReadBytes
  for (let position = from; position + blockBytes <= segment.fileBytes;) {
    const header = headerAt(segment, position, await window.at(position, parsedBytes, readBytes))
    if (!header) {
      const end = await findHeader(segment, position + blockBytes)
      yield { kind: 'gap', position, end }
      position = end
      continue
    }
    const end = position + entryBytes(header.lengthBytes)
    if (header.lengthBytes === 0) {
      yield { kind: 'seal', position, end, header }
      return
    }
    yield {
      kind: 'entry',
      position,
      end,
      header,
      isIntact: !checksBatches || (await hasIntactBatches(window, position, header)),
    }
    if (!checksBatches) readBytes = end - position < smallReadBytes ? smallReadBytes : headerReadBytes
    position = end
  }
}

async function hasIntactBatches(window: FileWindow, position: number, header: EntryHeader): Promise<boolean> {
  return areBatchesIntact(await window.at(position + entryHeaderBytes, header.lengthBytes, largeReadBytes), header)
}

/** Where the next intact header begins, or the end of the file. */
async function findHeader(segment: Scannable, from: number): Promise<number> {
  const window = new FileWindow(segment)
  let readBytes = smallReadBytes
  for (let start = from; start < segment.fileBytes;) {
    const bytes = await window.at(start, readBytes, readBytes)
    for (let at = bytes.indexOf(entryMagicBytes); at >= 0; at = bytes.indexOf(entryMagicBytes, at + 1)) {
      if (at % blockBytes !== 0) continue
      const isWhole = at + parsedBytes <= bytes.length
      const header = isWhole ? bytes.subarray(at, at + parsedBytes) : await segment.file.read(start + at, parsedBytes)
      if (headerAt(segment, start + at, header)) return start + at
    }
    start += readBytes
    readBytes = Math.min(2 * readBytes, largeReadBytes)
  }
  return segment.fileBytes
}

function headerAt({ number, seed, fileBytes }: Scannable, position: number, bytes: Buffer): EntryHeader | undefined {
  return parseEntryHeader(bytes, { segment: number, seed, position, fileBytes })
}

/** Reads a segment in pieces, and keeps the last one. */
class FileWindow {
  readonly #segment: Scannable
  #start = 0
  #bytes: Buffer = Buffer.alloc(0)

  constructor(segment: Scannable) {
    this.#segment = segment
  }

  /** Shorter only at the end of the file. What is not at hand is read in a piece of at least `readBytes`. */
  async at(position: number, lengthBytes: number, readBytes: number): Promise<Buffer> {
    const { file, fileBytes, path } = this.#segment
    const neededBytes = Math.min(lengthBytes, fileBytes - position)
    const from = position - this.#start
    if (from >= 0 && from + neededBytes <= this.#bytes.length) return this.#bytes.subarray(from, from + neededBytes)
    this.#bytes = await file.read(position, Math.max(lengthBytes, readBytes))
    this.#start = position
    if (this.#bytes.length < neededBytes) {
      throw new Error(`${path} ends ${this.#bytes.length} bytes behind ${position}; its size is ${fileBytes}`)
    }
    return this.#bytes.subarray(0, neededBytes)
  }
}
