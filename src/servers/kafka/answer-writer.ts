import type { Socket } from 'node:net'
import type { ByteBudget } from './byte-budget.ts'

/** Answers up to here are copied next to each other: one chunk costs the socket less than many. */
const copiedBytes = 2048
/** As much is copied into one chunk. */
const chunkBytes = 4096

/** Writes answers to a socket: all that become ready in one turn of the event loop with one system call; counted until the client has taken them. */
export class AnswerWriter {
  readonly #socket: Socket
  readonly #budget: ByteBudget
  readonly #onTaken: () => void
  readonly #flush = (): void => this.flush()
  #unsentBytes = 0
  /** What this turn has brought. */
  #ready: Buffer[] = []
  #readyBytes = 0
  /** Small answers, up to where; the rest of it is for the next ones. */
  #chunk: Buffer = Buffer.alloc(0)
  #chunkStart = 0
  #chunkEnd = 0

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

  /** An answer or a part of it. Returns how many bytes that were. A chunk above 2 KiB must not change until it is sent. */
  write(chunk: Buffer): number {
    if (!this.#socket.writable) return 0
    if (this.#readyBytes === 0) process.nextTick(this.#flush)
    if (chunk.length <= copiedBytes) this.#copy(chunk)
    else this.#closeChunk().push(chunk)
    this.#readyBytes += chunk.length
    this.#unsentBytes += chunk.length
    this.#budget.take(chunk.length)
    return chunk.length
  }

  /** Gives to the socket what is ready; to be called before it is ended. */
  flush(): void {
    const sizeBytes = this.#readyBytes
    if (sizeBytes === 0) return
    const socket = this.#socket
    const chunks = this.#closeChunk()
    this.#ready = []
    this.#readyBytes = 0
    const last = chunks.pop()
    // A socket that is gone has given all back, or will when it closes.
    if (!socket.writable || !last) return
    if (chunks.length > 0) socket.cork()
    for (const chunk of chunks) socket.write(chunk)
    socket.write(last, () => this.#taken(sizeBytes))
    if (chunks.length > 0) socket.uncork()
  }

  #copy(bytes: Buffer): void {
    if (this.#chunkEnd + bytes.length > this.#chunk.length) {
      this.#closeChunk()
      this.#chunk = Buffer.allocUnsafeSlow(chunkBytes)
      this.#chunkStart = this.#chunkEnd = 0
    }
    this.#chunk.set(bytes, this.#chunkEnd)
    this.#chunkEnd += bytes.length
  }

  /** What is ready, with the small answers that were copied. */
  #closeChunk(): Buffer[] {
    if (this.#chunkEnd > this.#chunkStart) this.#ready.push(this.#chunk.subarray(this.#chunkStart, this.#chunkEnd))
    this.#chunkStart = this.#chunkEnd
    return this.#ready
  }

  #taken(sizeBytes: number): void {
    // After the end, all was given back at once.
    if (this.#unsentBytes === 0) return
    this.#unsentBytes -= sizeBytes
    this.#budget.give(sizeBytes)
    this.#onTaken()
  }
}
