import { Reader } from '#bytes/reader.ts'
import { Writer } from '#bytes/writer.ts'
import { AppError } from '#lib/errors.ts'

/** Longest header and payload that either side takes: a bound on memory, far above any message in use. */
export const frameLimits = { headerBytes: 1 << 20, payloadBytes: 64 << 20 } as const

const prefixBytes = 8

/** One message between the server and a codec process: a JSON value and, for media, the bytes that belong to it. */
export type FramedMessage = { readonly header: unknown; readonly payload: Buffer }

/**
 * The bytes of one message. Throws `LIMIT_EXCEEDED` where the other side would refuse it.
 *
 * Wire: u32 header length, u32 payload length, header as UTF-8 JSON, payload.
 */
export function encodeFrame(header: unknown, payload: Buffer = Buffer.alloc(0)): Buffer {
  const json = Buffer.from(JSON.stringify(header))
  checkLengths(json.length, payload.length)
  return new Writer(prefixBytes + json.length + payload.length)
    .u32(json.length) // header length
    .u32(payload.length) // payload length
    .raw(json)
    .raw(payload)
    .finish()
}

/** Takes bytes as they come off the pipe and gives whole messages. Holds at most one incomplete message. */
export class FrameDecoder {
  #chunks: Buffer[] = []
  #bytes = 0
  /** Bytes without which no further message is complete. */
  #needed = prefixBytes

  /**
   * The messages that this chunk completes. Payloads may be views into the chunk: the caller must not write into it.
   * Throws `LIMIT_EXCEEDED` or `MALFORMED`; the stream has no further use then.
   */
  push(chunk: Buffer): FramedMessage[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#needed) return []
    const reader = new Reader(this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks))
    const messages: FramedMessage[] = []
    while (reader.remaining >= (this.#needed = frameLengthAt(reader))) messages.push(readFrame(reader))
    this.#bytes = reader.remaining
    this.#chunks = this.#bytes === 0 ? [] : [reader.rest()]
    return messages
  }
}

/** The whole length of the frame that starts at the cursor, or of its prefix when even that is not there yet. */
function frameLengthAt(reader: Reader): number {
  if (reader.remaining < prefixBytes) return prefixBytes
  const prefix = new Reader(reader.bytes.subarray(reader.pos, reader.pos + prefixBytes))
  const headerBytes = prefix.u32()
  const payloadBytes = prefix.u32()
  checkLengths(headerBytes, payloadBytes)
  return prefixBytes + headerBytes + payloadBytes
}

function readFrame(reader: Reader): FramedMessage {
  const headerBytes = reader.u32() // header length
  const payloadBytes = reader.u32() // payload length
  return { header: parseHeader(reader.slice(headerBytes)), payload: reader.slice(payloadBytes) }
}

function parseHeader(bytes: Buffer): unknown {
  try {
    const header: unknown = JSON.parse(bytes.toString())
    return header
  } catch (cause) {
    throw new AppError('MALFORMED', `the header of a codec message (${bytes.length} bytes) is not JSON`, { cause })
  }
}

function checkLengths(headerBytes: number, payloadBytes: number): void {
  const over = headerBytes > frameLimits.headerBytes || payloadBytes > frameLimits.payloadBytes
  if (!over) return
  throw new AppError(
    'LIMIT_EXCEEDED',
    `a codec message has ${headerBytes} + ${payloadBytes} bytes; header and payload may have ${frameLimits.headerBytes} + ${frameLimits.payloadBytes}`,
    { details: { headerBytes, payloadBytes, limits: frameLimits } },
  )
}
