/**
 * A few buffers that begin at a page of memory, as `O_DIRECT` asks for. Who finds none free waits in line; the line is at most as long as
 * there are files being written.
 */
export class Staging {
  readonly #sizeBytes: number
  readonly #free: Buffer[] = []
  readonly #waiting: ((buffer: Buffer) => void)[] = []
  #unmade: number

  constructor({ sizeBytes, count }: { sizeBytes: number; count: number }) {
    this.#sizeBytes = sizeBytes
    this.#unmade = count
  }

  /** Lends a buffer for as long as `use` runs. */
  async with<Result>(use: (buffer: Buffer) => Promise<Result>): Promise<Result> {
    const buffer = await this.#take()
    try {
      return await use(buffer)
    } finally {
      const next = this.#waiting.shift()
      if (next) next(buffer)
      else this.#free.push(buffer)
    }
  }

  async #take(): Promise<Buffer> {
    const free = this.#free.pop()
    if (free) return free
    if (this.#unmade === 0) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#unmade -= 1
    return alignedBuffer(this.#sizeBytes)
  }
}

/** Zeros that begin at a page of memory. V8 reserves whole pages for memory that may grow; other buffers come from malloc, which puts a header before them. */
export function alignedBuffer(sizeBytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(sizeBytes, { maxByteLength: sizeBytes }))
}
