/** Whatever tells a partition from the others. */
type Key = string

/**
 * The order in which the partitions of a connection are read. When an answer is full, those that filled it go to the end of the next one, so that a few busy
 * partitions do not keep the others from ever being read.
 */
export class FetchOrder {
  #turns = new Map<Key, number>()
  #turn = 0

  /** The same items; those read longest ago come first, and where that is the same the order stays. */
  arrange<T>(items: readonly T[], keyOf: (item: T) => Key): readonly T[] {
    if (this.#turns.size === 0) return items
    const turns = this.#turns
    return items.toSorted((a, b) => (turns.get(keyOf(a)) ?? 0) - (turns.get(keyOf(b)) ?? 0))
  }

  /** What the last answer held of these items. Only items of the last answer are remembered. */
  note<T>(
    items: readonly T[],
    keyOf: (item: T) => Key,
    { isFull, hasData }: { isFull: boolean; hasData: (item: T) => boolean },
  ): void {
    if (!isFull) {
      this.#turns.clear()
      return
    }
    this.#turn += 1
    const turns = new Map<Key, number>()
    for (const item of items) {
      const key = keyOf(item)
      const turn = hasData(item) ? this.#turn : this.#turns.get(key)
      if (turn !== undefined) turns.set(key, turn)
    }
    this.#turns = turns
  }
}
