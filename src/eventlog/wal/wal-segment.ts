import { AppError } from '#lib/errors.ts'
import { isDiskFull, type DiskFile } from './disk.ts'
import type { DiskBudget } from './disk-budget.ts'
import { EntryMarks } from './entry-marks.ts'
import { areBatchesIntact, encodeSeal, entryHeaderBytes, parseEntryHeader, sealBytes } from './wal-format.ts'
import type { WalGroup } from './wal-group.ts'
import type { Scannable } from './wal-scan.ts'

/** Where the batches of an entry lie. */
export type WalPosition = { readonly segment: number; readonly positionBytes: number; readonly lengthBytes: number }

/** Of a page of memory. */
const pageBytes = 4096
const zeros = Buffer.alloc(pageBytes)

type SegmentOptions = {
  readonly file: DiskFile
  readonly path: string
  readonly number: number
  readonly seed: number
  readonly endBytes: number
  readonly fileBytes: number
  readonly isPreallocated: boolean
  /** Knows of the file as it is; is told of changes to its size. */
  readonly budget: DiskBudget
}

/**
 * One file of the write-ahead log, under its number.
 *
 * growing (the current one) → sealed (full, or found at the start) → all settled and no longer read → recycled or removed
 */
export class Segment implements Scannable {
  readonly file: DiskFile
  readonly number: number
  readonly seed: number
  readonly #budget: DiskBudget
  /** Entries that are not settled. */
  readonly marks = new EntryMarks()
  path: string
  /** Behind the last entry that is synced. */
  endBytes: number
  #fileBytes: number
  /** Its space was allocated and written to before: entries go there without a change to the file's metadata. */
  isPreallocated: boolean
  isSealed = false
  /** Holds something that cannot be read; never recycled. */
  isDamaged = false
  /** Reads under way. */
  readers = 0

  constructor(options: SegmentOptions) {
    this.file = options.file
    this.path = options.path
    this.number = options.number
    this.seed = options.seed
    this.endBytes = options.endBytes
    this.#fileBytes = options.fileBytes
    this.#budget = options.budget
    this.isPreallocated = options.isPreallocated
  }

  /** Size of the file. */
  get fileBytes(): number {
    return this.#fileBytes
  }

  /** Whether nothing in it is needed any more. */
  get isDone(): boolean {
    return this.isSealed && !this.isDamaged && this.marks.count === 0 && this.readers === 0
  }

  /** What entries may still take of the file as it is. */
  get roomBytes(): number {
    return Math.max(0, this.#fileBytes - this.endBytes - sealBytes)
  }

  /** Writes a group behind what is there, and syncs it. Returns where its entries begin. */
  async write({ chunks, positions, sizeBytes }: WalGroup): Promise<readonly number[]> {
    if (this.isPreallocated) await this.file.writeSynced(this.endBytes, [...chunks, this.#restOfPage(this.endBytes + sizeBytes)])
    else {
      await this.file.write(this.endBytes, chunks)
      await this.#sync()
    }
    this.#extend(sizeBytes)
    for (const position of positions) this.marks.add(position)
    return positions
  }

  /** Zeros up to the end of the page, which is written as a whole anyway: of a page that is not in memory the system would have to read the rest first. */
  #restOfPage(position: number): Buffer {
    const pageEnd = Math.ceil(position / pageBytes) * pageBytes
    return zeros.subarray(0, Math.max(0, Math.min(pageEnd, this.#fileBytes) - position))
  }

  /** Takes back a group of which a part may be in the file: none of it will ever be found. */
  async discardTail(): Promise<void> {
    await this.file.truncate(this.endBytes)
    await this.#sync()
    this.#resize(this.endBytes)
    this.isPreallocated = false
  }

  /** Marks the end; afterwards everything in it is proven to have been synced. On a full disk the end of the file marks it. */
  async seal(): Promise<void> {
    this.isSealed = true
    try {
      await this.file.write(this.endBytes, [encodeSeal({ seed: this.seed, segment: this.number, position: this.endBytes })])
    } catch (error) {
      if (!isDiskFull(error)) throw error
      await this.discardTail()
      return
    }
    await this.#sync()
    this.#extend(sealBytes)
  }

  /** Gives back what is allocated behind the end. */
  async trim(): Promise<void> {
    if (this.#fileBytes > this.endBytes) await this.discardTail()
  }

  /** Reads the batches of an entry and checks all checksums. Throws `LOG_DAMAGED`. */
  async read({ positionBytes, lengthBytes }: WalPosition): Promise<Buffer> {
    const position = positionBytes - entryHeaderBytes
    const bytes = await this.file.read(position, entryHeaderBytes + lengthBytes)
    const header = parseEntryHeader(bytes, { segment: this.number, seed: this.seed, position, fileBytes: this.#fileBytes })
    const batches = bytes.subarray(entryHeaderBytes)
    if (header?.lengthBytes !== lengthBytes || !areBatchesIntact(batches, header)) {
      throw new AppError('LOG_DAMAGED', `${this.path} does not hold the entry at ${position} as it was written; keep the file`)
    }
    return batches
  }

  /** Even a sync that says that the disk is full is final: what it has lost nobody knows. */
  async #sync(): Promise<void> {
    try {
      await this.file.sync()
    } catch (cause) {
      throw new Error(`${this.path} could not be synced: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }

  #extend(bytes: number): void {
    this.endBytes += bytes
    this.#resize(Math.max(this.#fileBytes, this.endBytes))
  }

  #resize(fileBytes: number): void {
    this.#budget.change(fileBytes - this.#fileBytes)
    this.#fileBytes = fileBytes
  }
}
