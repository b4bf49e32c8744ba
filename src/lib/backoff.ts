/** Exponential backoff with a cap and full-range jitter in the upper half, so that a hundred dead cameras do not retry in step. */
export class Backoff {
  readonly #firstMs: number
  readonly #maxMs: number
  readonly #random: () => number
  #attempts = 0

  constructor({ firstMs, maxMs, random = Math.random }: { firstMs: number; maxMs: number; random?: () => number }) {
    this.#firstMs = firstMs
    this.#maxMs = maxMs
    this.#random = random
  }

  /** Failures since the last `reset`. */
  get attempts(): number {
    return this.#attempts
  }

  /** The next wait: between half and all of `firstMs × 2^attempts`, never above `maxMs`. */
  nextMs(): number {
    const ceilingMs = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#attempts, 30))
    this.#attempts += 1
    return Math.round(ceilingMs * (0.5 + this.#random() / 2))
  }

  reset(): void {
    this.#attempts = 0
  }
}
