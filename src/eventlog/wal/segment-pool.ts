import { join } from 'node:path'
import type { DiskBudget } from './disk-budget.ts'
import { isDiskFull, type Disk, type DiskFile } from './disk.ts'
import { segmentFileName } from './segment-files.ts'
import { encodeSegmentHeader, entriesStart, sealBytes } from './wal-format.ts'
import { Segment } from './wal-segment.ts'

/** A file of the size of a segment, written to and synced throughout, without a number. */
type Spare = { readonly file: DiskFile; readonly path: string; readonly sizeBytes: number }

type PoolOptions = {
  readonly directory: string
  readonly disk: Disk
  readonly walId: string
  readonly segmentBytes: number
  readonly budget: DiskBudget
  readonly newId: () => string
  /** A disk that fails, other than being full, while files are prepared or recycled. */
  readonly onFault: (error: unknown) => void
}

/**
 * Zeros are synced in steps, so that no sync of an append waits behind all of them. Through the page cache a step took a core for 3 ms, and a write of appends that
 * was to end there waited for it: single records were acknowledged at a quarter of the usual rate while a file was filled.
 */
const fillStepBytes = 1_048_576

/**
 * Where segments come from and go to: the next one is made ready while the current one is filled, from a spare file or a new one. Zeros are written once in the
 * life of a file: allocated and written blocks make a sync twice as quick.
 *
 * A file changes its name before anything in it is overwritten, and is named as a segment only with its new header synced: under the name of a segment there is
 * never anything but that segment.
 */
export class SegmentPool {
  readonly #options: PoolOptions
  readonly #background = new Set<Promise<void>>()
  #spares: Spare[] = []
  #next: Segment | undefined
  /** The number that is being prepared; undefined: none is wanted. */
  #wanted: number | undefined
  #isPreparing = false
  #naming: Promise<void> | undefined
  #temporaryCount = 0
  #isClosed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  get isNextReady(): boolean {
    return this.#next !== undefined
  }

  /** Room for entries in what takes no more of the disk. */
  get roomBytes(): number {
    const spareBytes = this.#options.segmentBytes - entriesStart - sealBytes
    return (this.#next?.roomBytes ?? 0) + this.#spares.length * spareBytes
  }

  /** The segment with this number, which is the next one: at once when it is ready, else with a few syncs; a file that is not ready grows with its entries. */
  async take(number: number): Promise<Segment> {
    this.#wanted = undefined
    await this.#naming
    const ready = this.#next
    this.#next = undefined
    if (ready) return ready
    const spare = this.#spares.pop() ?? (await this.#create())
    return await this.#name(spare, number)
  }

  /** Begins to make the next segment ready, unless the budget has no room for it. */
  prepare(number: number): void {
    if (this.#isClosed || this.#isPreparing || this.#next || this.#wanted === number) return
    this.#wanted = number
    this.#isPreparing = true
    this.#run(async () => {
      try {
        await this.#prepare()
      } finally {
        this.#isPreparing = false
      }
    })
  }

  /** Takes a segment that is done; keeps as many files in reserve, the next segment included, and removes the others. */
  release(segment: Segment, { reserve }: { reserve: number }): void {
    const { segmentBytes, disk, directory } = this.#options
    const isKept = segment.isPreallocated && segment.fileBytes === segmentBytes
    this.#run(async () => {
      if (!isKept || this.#reserveCount >= reserve || this.#isClosed) {
        await this.#remove({ file: segment.file, path: segment.path, sizeBytes: segment.fileBytes })
      } else {
        const path = this.#temporaryPath()
        await disk.rename(segment.path, path)
        await disk.syncDirectory(directory)
        this.#spares.push({ file: segment.file, path, sizeBytes: segment.fileBytes })
      }
      await this.#shrink(reserve)
    })
  }

  /** Lets what is under way end, and removes all that holds no entries; after a failure of the disk it only closes the files. */
  async close({ isFailed }: { isFailed: boolean }): Promise<void> {
    this.#isClosed = true
    while (this.#background.size > 0) await Promise.all(this.#background)
    const next = this.#next
    if (next) this.#spares.push({ file: next.file, path: next.path, sizeBytes: next.fileBytes })
    this.#next = undefined
    if (!isFailed) return await this.#shrink(0)
    for (const { file } of this.#spares) await file[Symbol.asyncDispose]()
  }

  get #reserveCount(): number {
    return this.#spares.length + (this.#next ? 1 : 0)
  }

  #run(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => {
        if (!isDiskFull(error)) this.#options.onFault(error)
      })
      .finally(() => this.#background.delete(running))
    this.#background.add(running)
  }

  async #prepare(): Promise<void> {
    const spare = this.#spares.pop() ?? (await this.#fill())
    if (!spare) return
    const number = this.#wanted
    if (number === undefined || this.#isClosed) {
      this.#spares.push(spare)
      return
    }
    const naming = this.#name(spare, number).then((segment) => {
      this.#next = segment
    })
    // Whoever takes meanwhile waits for it; its failure is reported once, here.
    this.#naming = naming.catch(() => undefined)
    await naming.finally(() => {
      this.#naming = undefined
    })
  }

  /** A new file full of zeros; undefined when there is no room for it, or no need any more. */
  async #fill(): Promise<Spare | undefined> {
    const { segmentBytes, budget } = this.#options
    await budget.refresh()
    if (budget.findObstacle(segmentBytes) !== undefined) return undefined
    budget.change(segmentBytes)
    const path = this.#temporaryPath()
    let file: DiskFile | undefined
    try {
      file = await this.#options.disk.open(path, { isNew: true })
      for (let position = 0; position < segmentBytes && !this.#isClosed; position += fillStepBytes) {
        await file.writeZeros(position, Math.min(fillStepBytes, segmentBytes - position))
      }
      return { file, path, sizeBytes: segmentBytes }
    } catch (error) {
      if (!isDiskFull(error)) throw error
      if (file) await this.#remove({ file, path, sizeBytes: segmentBytes })
      else budget.change(-segmentBytes)
      return undefined
    }
  }

  /** A new file with nothing in it. */
  async #create(): Promise<Spare> {
    const path = this.#temporaryPath()
    return { file: await this.#options.disk.open(path, { isNew: true }), path, sizeBytes: 0 }
  }

  /** Makes a segment of a file. */
  async #name(spare: Spare, number: number): Promise<Segment> {
    const { directory, disk, walId, newId, segmentBytes, budget } = this.#options
    const { bytes, seed } = encodeSegmentHeader({ walId, number, life: newId() })
    const { file } = spare
    const path = join(directory, segmentFileName(number, 'wal'))
    const fileBytes = Math.max(spare.sizeBytes, entriesStart)
    budget.change(fileBytes - spare.sizeBytes)
    try {
      await file.write(0, [bytes])
      await file.sync()
      await disk.rename(spare.path, path)
    } catch (error) {
      if (isDiskFull(error)) await this.#remove({ ...spare, sizeBytes: fileBytes })
      throw error
    }
    await disk.syncDirectory(directory)
    return new Segment({
      file,
      path,
      number,
      seed,
      endBytes: entriesStart,
      fileBytes,
      isPreallocated: spare.sizeBytes === segmentBytes,
      budget,
    })
  }

  /** Removes spare files beyond the reserve. */
  async #shrink(reserve: number): Promise<void> {
    while (this.#reserveCount > reserve) {
      const spare = this.#spares.pop()
      if (!spare) return
      await this.#remove(spare)
    }
  }

  async #remove({ file, path, sizeBytes }: Spare): Promise<void> {
    const { disk, directory, budget } = this.#options
    await file[Symbol.asyncDispose]()
    await disk.remove(path)
    await disk.syncDirectory(directory)
    budget.change(-sizeBytes)
  }

  #temporaryPath(): string {
    this.#temporaryCount += 1
    return join(this.#options.directory, `${this.#temporaryCount}.tmp`)
  }
}
