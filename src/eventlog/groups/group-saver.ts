import type { GroupRow } from '../metadata/log-metadata.ts'

/**
 * Stores the states of one group, one after the other. While one is on its way only the newest of those behind it is kept: it says all that the older
 * ones said.
 */
export class GroupSaver {
  readonly #store: (row: GroupRow) => Promise<void>
  #current: Promise<void> | undefined
  #next: { row: GroupRow; readonly done: Promise<void> } | undefined

  constructor(store: (row: GroupRow) => Promise<void>) {
    this.#store = store
  }

  /** Resolves when this state or a newer one is stored; fails when that could not be. */
  save(row: GroupRow): Promise<void> {
    if (this.#next) {
      this.#next.row = row
      return this.#next.done
    }
    if (!this.#current) return this.#begin(row)
    const next = { row, done: this.#follow(this.#current) }
    this.#next = next
    return next.done
  }

  get isBusy(): boolean {
    return this.#current !== undefined || this.#next !== undefined
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    while (this.isBusy) await (this.#next?.done ?? this.#current)?.catch(ignore)
  }

  async #follow(before: Promise<void>): Promise<void> {
    await before.catch(ignore)
    const row = this.#next?.row
    this.#next = undefined
    if (row) await this.#begin(row)
  }

  #begin(row: GroupRow): Promise<void> {
    const saving = this.#store(row).finally(() => {
      if (this.#current === saving) this.#current = undefined
    })
    this.#current = saving
    return saving
  }
}

/** Whoever asked for it is told; the others only wait for the end. */
function ignore(): void {}
