import type { Socket } from 'node:net'
import type { ByteBudget } from './byte-budget.ts'

/** Writes answers to a socket: all that are ready at the same time with one system call; counted until the client has taken them. */
export class AnswerWriter {
  readonly #socket: Socket
  readonly #budget: ByteBudget
  readonly #onTaken: () => void
  #unsentBytes = 0
  #isCorked = false

  /** `onTaken` is called whenever an answer has left. */
  constructor({ socket, budget, onTaken }: { socket: Socket; budget: ByteBudget; onTaken: () => void }) {
    this.#socket = socket
    this.#budget = budget
    this.#onTaken = onTaken
    socket.once('close', () => {
      this.#budget.give(this.#unsentBytes)
      this.#unsentBytes = 0
    })
  }

  /** Bytes that were written and not taken by the client. */
  get unsentBytes(): number {
    return this.#unsentBytes
  }

  /** Returns how many bytes that were. The chunks must not change until they are sent. */
  write(chunks: readonly Buffer[]): number {
    const socket = this.#socket
    if (!socket.writable) return 0
    const sizeBytes = chunks.reduce((sum, { length }) => sum + length, 0)
    this.#unsentBytes += sizeBytes
    this.#budget.take(sizeBytes)
    if (!this.#isCorked) this.#cork()
    const last = chunks.length - 1
    chunks.forEach((chunk, index) => {
      if (index < last) socket.write(chunk)
      else socket.write(chunk, () => this.#taken(sizeBytes))
    })
    return sizeBytes
  }

  /** Until everything that becomes ready in this turn of the event loop is written. */
  #cork(): void {
    this.#isCorked = true
    this.#socket.cork()
    process.nextTick(() => {
      this.#isCorked = false
      this.#socket.uncork()
    })
  }

  #taken(sizeBytes: number): void {
    // After the end, all was given back at once.
    if (this.#unsentBytes === 0) return
    this.#unsentBytes -= sizeBytes
    this.#budget.give(sizeBytes)
    this.#onTaken()
  }
}
