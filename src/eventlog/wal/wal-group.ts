import { entryBytes, entryHeaderBytes, parsedBytes, writeEntryHeader, type EntryFields } from './wal-format.ts'

/** Consecutive batches of a partition to be written as one entry. `recordCount` is of all of them. */
export type WalEntry = EntryFields & { readonly batches: Buffer }

export type WalGroup = {
  /** What to write, in one go. */
  readonly chunks: readonly Buffer[]
  readonly sizeBytes: number
  /** Where each entry begins. */
  readonly positions: readonly number[]
}

/** Entries up to here are copied next to each other; above, a chunk of its own costs less than the copy. */
const copiedBytes = 8192
const copiedOfLarge = parsedBytes - entryHeaderBytes

type Place = { readonly seed: number; readonly segment: number; readonly start: number }

/** More is not kept from one group to the next. */
const maxKeptBytes = 1_048_576

/** Lays out groups, of which one at a time is in use: all take the same memory, since pages that are new each time cost as much as what is written into them. */
export class GroupLayout {
  #memory = Buffer.alloc(0)

  /** Entries one behind the other from `start` on. Large ones are not copied: they must not change until they are written. */
  layOut(entries: readonly WalEntry[], place: Place): WalGroup {
    const sizeBytes = entries.reduce((sum, { batches }) => sum + ownBytes(batches.length), 0)
    return layOutGroup(entries, place, this.#take(sizeBytes))
  }

  #take(sizeBytes: number): Buffer {
    if (sizeBytes > maxKeptBytes) return Buffer.allocUnsafeSlow(sizeBytes)
    if (this.#memory.length < sizeBytes) this.#memory = Buffer.allocUnsafeSlow(Math.min(maxKeptBytes, 2 * sizeBytes))
    return this.#memory.subarray(0, sizeBytes)
  }
}

function layOutGroup(entries: readonly WalEntry[], { seed, segment, start }: Place, bytes: Buffer): WalGroup {
  const chunks: Buffer[] = []
  const positions: number[] = []
  let position = start
  let at = 0
  let chunkStart = 0
  for (const entry of entries) {
    const { batches } = entry
    const isCopied = batches.length <= copiedBytes
    const headerAt = at
    const copiedEnd = isCopied ? batches.length : copiedOfLarge
    at = headerAt + entryHeaderBytes + batches.copy(bytes, headerAt + entryHeaderBytes, 0, copiedEnd)
    writeEntryHeader(bytes, headerAt, {
      partitionId: entry.partitionId,
      epoch: entry.epoch,
      baseOffset: entry.baseOffset,
      recordCount: entry.recordCount,
      lengthBytes: batches.length,
      seed,
      segment,
      position,
      groupStart: start,
    })
    if (!isCopied) {
      chunks.push(bytes.subarray(chunkStart, at), batches.subarray(copiedOfLarge))
      chunkStart = at
    }
    const end = headerAt + ownBytes(batches.length)
    bytes.fill(0, at, end)
    at = end
    positions.push(position)
    position += entryBytes(batches.length)
  }
  if (at > chunkStart) chunks.push(bytes.subarray(chunkStart, at))
  return { chunks, sizeBytes: position - start, positions }
}

/** What of an entry is in the memory of the group: all of it, or all but the rest of a large one. */
function ownBytes(lengthBytes: number): number {
  return lengthBytes <= copiedBytes ? entryBytes(lengthBytes) : entryBytes(lengthBytes) - (lengthBytes - copiedOfLarge)
}
