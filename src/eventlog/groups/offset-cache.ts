import type { LogMetadata, OffsetRow } from '../metadata/log-metadata.ts'

type Entry = { readonly rows: Map<string, OffsetRow>; readonly loading: Promise<void> }

/** The key of a partition in what `OffsetCache.load` gives. */
export function offsetKey({ topicId, partition }: { topicId: string; partition: number }): string {
  return `${topicId}/${partition}`
}

/** The committed offsets of groups that were asked for lately: loaded once, kept in step with commits, up to so many rows over all groups. */
export class OffsetCache {
  readonly #metadata: Pick<LogMetadata, 'loadOffsets'>
  readonly #maxRows: number
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #rowCount = 0

  constructor({ metadata, maxRows }: { metadata: Pick<LogMetadata, 'loadOffsets'>; maxRows: number }) {
    this.#metadata = metadata
    this.#maxRows = maxRows
  }

  /** What the cache holds of all groups together. */
  get rowCount(): number {
    return this.#rowCount
  }

  /** All offsets of a group; to be read at once, since later commits change them. */
  async load(groupId: string): Promise<ReadonlyMap<string, OffsetRow>> {
    const entry = this.#entries.get(groupId) ?? this.#begin(groupId)
    this.#entries.delete(groupId)
    this.#entries.set(groupId, entry)
    await entry.loading
    return entry.rows
  }

  /** These rows are in the database now. */
  update(rows: readonly OffsetRow[]): void {
    for (const row of rows) {
      const entry = this.#entries.get(row.groupId)
      if (entry) this.#put(entry, row)
    }
    this.#evict()
  }

  /** What is known of the group is no longer true. */
  forget(groupId: string): void {
    const entry = this.#entries.get(groupId)
    if (!entry) return
    this.#rowCount -= entry.rows.size
    this.#entries.delete(groupId)
  }

  #begin(groupId: string): Entry {
    const rows = new Map<string, OffsetRow>()
    const entry: Entry = { rows, loading: this.#fill(groupId, rows) }
    return entry
  }

  async #fill(groupId: string, rows: Map<string, OffsetRow>): Promise<void> {
    try {
      const loaded = await this.#metadata.loadOffsets(groupId)
      const isKept = this.#entries.get(groupId)?.rows === rows
      for (const row of loaded) {
        // What was committed while this was loading is newer.
        if (rows.has(offsetKey(row))) continue
        rows.set(offsetKey(row), row)
        if (isKept) this.#rowCount += 1
      }
    } catch (error) {
      if (this.#entries.get(groupId)?.rows === rows) this.forget(groupId)
      throw error
    }
    this.#evict()
  }

  #put({ rows }: Entry, row: OffsetRow): void {
    const sizeBefore = rows.size
    rows.set(offsetKey(row), row)
    this.#rowCount += rows.size - sizeBefore
  }

  #evict(): void {
    for (const groupId of this.#entries.keys()) {
      if (this.#rowCount <= this.#maxRows) return
      this.forget(groupId)
    }
  }
}
