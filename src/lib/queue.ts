/** What a full queue does with one more item. */
export type WhenFull = 'drop-oldest' | 'drop-newest'

/**
 * A bounded queue with one consumer that iterates. Producers never wait: a full queue drops, counts, and goes on.
 * Ends when `close` is called and what was queued has been taken.
 */
export class Queue<T> implements AsyncIterable<T> {
  readonly #capacity: number
  readonly #whenFull: WhenFull
  #items: T[] = []
  #dropped = 0
  #isClosed = false
  #wake: (() => void) | undefined

  constructor({ capacity, whenFull }: { capacity: number; whenFull: WhenFull }) {
    this.#capacity = capacity
    this.#whenFull = whenFull
  }

  get length(): number {
    return this.#items.length
  }
  get dropped(): number {
    return this.#dropped
  }

  push(item: T): void {
    if (this.#isClosed) return
    if (this.#items.length >= this.#capacity) {
      this.#dropped += 1
      if (this.#whenFull === 'drop-newest') return
      this.#items.shift()
    }
    this.#items.push(item)
    this.#wake?.()
  }

  close(): void {
    this.#isClosed = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const batch = this.#items
      this.#items = []
      yield* batch
      if (this.#items.length > 0) continue
      if (this.#isClosed) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }
}
