/** Bytes that all calls of a server may hold together. It is never exceeded by more than what was taken last: taking always succeeds. */
export class ByteBudget {
  readonly #limitBytes: number
  #waiting: (() => void)[] = []
  #usedBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get isFull(): boolean {
    return this.#usedBytes >= this.#limitBytes
  }

  take(bytes: number): void {
    this.#usedBytes += bytes
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes
    while (!this.isFull) {
      const next = this.#waiting.shift()
      if (!next) return
      next()
    }
  }

  /** Takes the bytes when there is room, in the order in which it was asked for. Rejects with the signal's reason. */
  async takeWhenFree(bytes: number, signal: () => AbortSignal): Promise<void> {
    if (this.isFull || this.#waiting.length > 0) await this.#turn(bytes, signal())
    else this.take(bytes)
  }

  async #turn(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const mayGo = (): void => {
        signal.removeEventListener('abort', giveUp)
        this.take(bytes)
        resolve()
      }
      const giveUp = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== mayGo)
        reject(signal.reason)
      }
      this.#waiting.push(mayGo)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }
}
