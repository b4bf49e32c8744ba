import type { IncomingMessage } from 'node:http'
import { AppError } from '#lib/errors.ts'

/** How long a body may take that is read as a whole. */
const bodyTimeoutMs = 60_000

/** Memory for bodies that are being worked on; requests beyond are sent away. */
export class BodyBudget {
  readonly #maxBytes: number
  #usedBytes = 0

  constructor({ maxBytes }: { maxBytes: number }) {
    this.#maxBytes = maxBytes
  }

  /** Throws `CLIENT_LIMIT`. */
  reserve(sizeBytes: number): Disposable {
    if (this.#usedBytes > 0 && this.#usedBytes + sizeBytes > this.#maxBytes) {
      throw new AppError('CLIENT_LIMIT', `requests of ${this.#usedBytes} bytes are being worked on; repeat a little later`)
    }
    this.#usedBytes += sizeBytes
    return { [Symbol.dispose]: () => void (this.#usedBytes -= sizeBytes) }
  }
}

/** The length that a request announces; undefined: none. */
export function announcedBytes({ headers }: IncomingMessage): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

/** A whole body. Throws `LIMIT_EXCEEDED` with `remedy`, `TIMEOUT`, and `TRUNCATED` when the client goes away. */
export async function readBody(
  body: IncomingMessage,
  { maxBytes, remedy }: { maxBytes: number; remedy: string },
): Promise<Buffer> {
  const tooLarge = (): AppError => new AppError('LIMIT_EXCEEDED', `the body is larger than ${maxBytes} bytes; ${remedy}`)
  if ((announcedBytes(body) ?? 0) > maxBytes) throw tooLarge()
  return await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const timer = setTimeout(() => {
      fail(new AppError('TIMEOUT', `the body did not arrive within ${bodyTimeoutMs / 1000} s; send less at once`))
    }, bodyTimeoutMs)
    const fail = (error: AppError): void => {
      clearTimeout(timer)
      chunks.length = 0
      reject(error)
    }
    body.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) fail(tooLarge())
      else chunks.push(chunk)
    })
    body.on('end', () => {
      clearTimeout(timer)
      const [first] = chunks
      resolve(first && chunks.length === 1 ? first : Buffer.concat(chunks, sizeBytes))
    })
    body.on('error', (cause) => fail(brokenOff(cause)))
  })
}

/** The lines of a body, without their ends and without empty ones, in the groups in which they arrive. Throws `LIMIT_EXCEEDED` and `TRUNCATED`. */
export async function* readLines(
  body: IncomingMessage,
  { maxLineBytes }: { maxLineBytes: number },
): AsyncGenerator<Line[], void, undefined> {
  const splitter = new LineSplitter(maxLineBytes)
  for await (const chunk of chunksOf(body)) yield splitter.push(chunk)
  yield splitter.end()
}

/** `number` counts from 1, empty lines too. */
export type Line = { readonly number: number; readonly bytes: Buffer }

const newline = 10

class LineSplitter {
  readonly #maxLineBytes: number
  #begun: Buffer[] = []
  #begunBytes = 0
  #count = 0

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  push(chunk: Buffer): Line[] {
    const lines: Line[] = []
    let at = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, at)) {
      this.#take(chunk.subarray(at, end))
      this.#close(lines)
      at = end + 1
    }
    this.#take(chunk.subarray(at))
    return lines
  }

  /** The last line needs no end. */
  end(): Line[] {
    const lines: Line[] = []
    this.#close(lines)
    return lines
  }

  #take(part: Buffer): void {
    this.#begunBytes += part.length
    if (this.#begunBytes > this.#maxLineBytes) {
      throw new AppError('LIMIT_EXCEEDED', `line ${this.#count + 1} is longer than ${this.#maxLineBytes} bytes; send it as JSON`)
    }
    if (part.length > 0) this.#begun.push(part)
  }

  #close(lines: Line[]): void {
    this.#count += 1
    const [first] = this.#begun
    if (!first) return
    const bytes = this.#begun.length === 1 ? first : Buffer.concat(this.#begun, this.#begunBytes)
    this.#begun = []
    this.#begunBytes = 0
    const isBlank = bytes.length === 1 && bytes[0] === carriageReturn
    if (!isBlank) lines.push({ number: this.#count, bytes })
  }
}

/** Before a line end; JSON passes over it. */
const carriageReturn = 13

async function* chunksOf(body: IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of body) if (chunk instanceof Buffer) yield chunk
  } catch (cause) {
    throw brokenOff(cause)
  }
}

function brokenOff(cause: unknown): AppError {
  return new AppError('TRUNCATED', 'the connection ended before the body did', { cause })
}
