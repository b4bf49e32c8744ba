import type { Readable } from 'node:stream'
import { AppError } from '#lib/errors.ts'
import { chunksOf } from '#store/objects/read-range.ts'

/** Goes through a stream of bytes in steps of any length, without gathering it. */
export class StreamCursor implements AsyncDisposable {
  readonly #chunks: AsyncGenerator<Uint8Array>
  #chunk: Buffer = Buffer.alloc(0)
  /** Bytes passed so far. */
  pos = 0

  constructor(stream: Readable) {
    this.#chunks = chunksOf(stream)
  }

  /** The next bytes, in one piece. Throws `TRUNCATED` when the stream ends before. */
  async take(lengthBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    await this.pass(lengthBytes, (piece) => pieces.push(piece))
    const [only = Buffer.alloc(0)] = pieces
    return pieces.length === 1 ? only : Buffer.concat(pieces)
  }

  /** Hands the next bytes over piece by piece. Throws `TRUNCATED` when the stream ends before. */
  async pass(lengthBytes: number, onPiece?: (piece: Buffer) => void): Promise<void> {
    for (let left = lengthBytes; left > 0;) {
      if (this.#chunk.length === 0) await this.#next(left)
      const piece = this.#chunk.subarray(0, left)
      this.#chunk = this.#chunk.subarray(piece.length)
      this.pos += piece.length
      left -= piece.length
      onPiece?.(piece)
    }
  }

  /** Destroys the stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return(undefined)
  }

  async #next(missingBytes: number): Promise<void> {
    const next = await this.#chunks.next()
    if (next.done === true) throw new AppError('TRUNCATED', `the stream ended ${missingBytes} bytes early`)
    this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length)
  }
}
