/** Bytes that all connections of a server may hold together. It is never exceeded by more than what was taken last: taking always succeeds. */
export class ByteBudget {
  readonly #limitBytes: number
  readonly #waiting = new Set<() => void>()
  #usedBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }
  get freeBytes(): number {
    return Math.max(0, this.#limitBytes - this.#usedBytes)
  }

  take(bytes: number): void {
    this.#usedBytes += bytes
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes
    if (this.freeBytes === 0 || this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resume of waiting) resume()
  }

  /** Calls back once when bytes are free again; at most once for each function that waits. */
  whenFree(resume: () => void): void {
    this.#waiting.add(resume)
  }

  /** Calls back no more. */
  forget(resume: () => void): void {
    this.#waiting.delete(resume)
  }
}
