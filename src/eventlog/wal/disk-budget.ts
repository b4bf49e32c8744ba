import type { Disk } from './disk.ts'

type BudgetOptions = { readonly directory: string; readonly disk: Disk; readonly maxBytes: number; readonly minFreeBytes: number }

/** What the log has of the disk, and what it may still take: up to its own limit, and down to the floor of free space. */
export class DiskBudget {
  readonly #options: BudgetOptions
  #usedBytes = 0
  #freeBytes = 0
  #refreshing: Promise<void> | undefined

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Counts what files took more of the disk, or less. */
  change(bytes: number): void {
    this.#usedBytes += bytes
    this.#freeBytes -= bytes
  }

  /** Says why so much more would be too much; undefined: it would not. Free space is as of the last `refresh`. */
  findObstacle(growthBytes: number): string | undefined {
    const { directory, maxBytes, minFreeBytes } = this.#options
    if (growthBytes <= 0) return undefined
    if (this.#usedBytes + growthBytes > maxBytes) {
      return `the write-ahead log in ${directory} has ${this.#usedBytes} of at most ${maxBytes} bytes; there is room again when the object store has taken records`
    }
    if (this.#freeBytes - growthBytes < minFreeBytes) {
      return `the disk of ${directory} has ${Math.max(0, this.#freeBytes)} bytes free, which is its floor of ${minFreeBytes} or would be below; free some space`
    }
    return undefined
  }

  /** Asks the disk how much is free. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#ask().finally(() => {
      this.#refreshing = undefined
    })
    await this.#refreshing
  }

  async #ask(): Promise<void> {
    this.#freeBytes = await this.#options.disk.freeBytes(this.#options.directory)
  }
}
