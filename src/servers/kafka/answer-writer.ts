import type { Socket } from 'node:net'
import type { ByteBudget } from './byte-budget.ts'

/** Answers that are ready together and no larger than this are copied next to each other: one chunk costs the socket less than many. */
const copiedBytes = 16_384

/** Writes answers to a socket: all that become ready in one turn of the event loop with one system call; counted until the client has taken them. */
export class AnswerWriter {
  readonly #socket: Socket
  readonly #budget: ByteBudget
  readonly #onTaken: () => void
  #unsentBytes = 0
  /** What this turn has brought. */
  #ready: Buffer[] = []
  #readyBytes = 0

  /** `onTaken` is called whenever answers have left. */
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
    if (!this.#socket.writable) return 0
    if (this.#ready.length === 0) process.nextTick(() => this.flush())
    let sizeBytes = 0
    for (const chunk of chunks) {
      this.#ready.push(chunk)
      sizeBytes += chunk.length
    }
    this.#readyBytes += sizeBytes
    this.#unsentBytes += sizeBytes
    this.#budget.take(sizeBytes)
    return sizeBytes
  }

  /** Gives to the socket what is ready; to be called before it is ended. */
  flush(): void {
    const chunks = this.#ready
    const sizeBytes = this.#readyBytes
    const socket = this.#socket
    if (chunks.length === 0) return
    this.#ready = []
    this.#readyBytes = 0
    // A socket that is gone has given all back, or will when it closes.
    if (!socket.writable) return
    const rest = sizeBytes <= copiedBytes && chunks.length > 1 ? [Buffer.concat(chunks, sizeBytes)] : chunks
    const last = rest.pop()
    if (!last) return
    socket.cork()
    for (const chunk of rest) socket.write(chunk)
    socket.write(last, () => this.#taken(sizeBytes))
    socket.uncork()
  }

  #taken(sizeBytes: number): void {
    // After the end, all was given back at once.
    if (this.#unsentBytes === 0) return
    this.#unsentBytes -= sizeBytes
    this.#budget.give(sizeBytes)
    this.#onTaken()
  }
}
