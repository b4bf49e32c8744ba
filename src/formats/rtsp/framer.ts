import { AppError } from '#lib/errors.ts'
import { parseHead, rtspLimits, type RtspMessage } from './message.ts'

/** Where the framer puts what it finds. */
export interface FramerSink {
  /** One interleaved packet, RFC 2326 §10.12. `payload` is a view into the read buffer: valid only during the call. */
  interleaved(channel: number, payload: Buffer): void
  message(message: RtspMessage): void
}

const dollar = 0x24
const maxSearchBytes = 262_144
const maxResyncs = 10
/** Channels above this are not believed when looking for a frame in garbage; nobody uses so many. */
const maxPlausibleChannel = 19
/** The smallest RTCP packet. */
const minPlausibleLength = 8

/**
 * Cuts an RTSP connection's bytes into messages and interleaved packets, which come in any order.
 *
 * Bytes that are neither are skipped up to the next plausible packet or status line; that is counted, and allowed ten times without two
 * good packets in a row between. Nothing is copied but an item that lies across two chunks.
 */
export class RtspFramer {
  readonly #sink: FramerSink
  /** The beginning of an item whose end has not come: the first `#heldBytes` of it. */
  #carry: Buffer = Buffer.alloc(0)
  #heldBytes = 0
  /** How many bytes must come before it is worth looking at what is held again. */
  #missingBytes = 0
  #state: 'starting' | 'synced' | 'lost' = 'starting'
  #isFrameAfterSearch = false
  #resyncsInARow = 0
  #searchedBytes = 0
  #resyncs = 0
  #skippedBytes = 0

  constructor(sink: FramerSink) {
    this.#sink = sink
  }

  /** Times that garbage was met, and its bytes. */
  get stats(): { readonly resyncs: number; readonly skippedBytes: number } {
    return { resyncs: this.#resyncs, skippedBytes: this.#skippedBytes }
  }

  /** Takes the next bytes; they may be overwritten afterwards. Throws `MALFORMED` or `LIMIT_EXCEEDED`: the connection is then of no use. */
  push(chunk: Buffer): void {
    let at = 0
    while (this.#heldBytes > 0 && at < chunk.length) {
      const end = Math.min(at + this.#missingBytes, chunk.length)
      this.#hold(chunk, at, end)
      this.#missingBytes -= end - at
      at = end
      if (this.#missingBytes > 0 && this.#missingBytes !== Infinity) return
      const used = this.#consume(this.#carry, 0, this.#heldBytes)
      this.#carry.copyWithin(0, used, this.#heldBytes)
      this.#heldBytes -= used
    }
    const used = this.#consume(chunk, at, chunk.length)
    this.#hold(chunk, used, chunk.length)
  }

  #hold(chunk: Buffer, from: number, to: number): void {
    const needed = this.#heldBytes + to - from
    if (needed > this.#carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#carry.length * 2, 2048))
      this.#carry.copy(grown, 0, 0, this.#heldBytes)
      this.#carry = grown
    }
    chunk.copy(this.#carry, this.#heldBytes, from, to)
    this.#heldBytes = needed
  }

  /** Hands on all whole items; gives back where the first one begins that is not whole. */
  #consume(bytes: Buffer, from: number, to: number): number {
    let at = from
    while (at < to) {
      const next = this.#item(bytes, at, to)
      if (next === at) break
      at = next
    }
    return at
  }

  #item(bytes: Buffer, at: number, to: number): number {
    if (this.#state === 'lost') return this.#search(bytes, at, to)
    const first = bytes[at]
    if (first === dollar) return this.#frame(bytes, at, to)
    if (first === 0x0d || first === 0x0a) return at + 1
    if (couldStartMessage(bytes, at, to)) return this.#message(bytes, at, to)
    this.#lose()
    return this.#search(bytes, at, to)
  }

  #frame(bytes: Buffer, at: number, to: number): number {
    if (to - at < 4) return this.#wait(at, 4 - (to - at))
    const end = at + 4 + bytes.readUInt16BE(at + 2)
    if (end > to) return this.#wait(at, end - to)
    if (!this.#isFrameAfterSearch) this.#resyncsInARow = 0
    this.#isFrameAfterSearch = false
    this.#state = 'synced'
    this.#sink.interleaved(bytes.readUInt8(at + 1), bytes.subarray(at + 4, end))
    return end
  }

  #message(bytes: Buffer, at: number, to: number): number {
    const headEnd = findHeadEnd(bytes, at, to)
    if (headEnd === undefined) {
      if (to - at > rtspLimits.headBytes) {
        throw new AppError('LIMIT_EXCEEDED', `the head of an RTSP message has more than ${rtspLimits.headBytes} bytes`)
      }
      return this.#wait(at, Infinity)
    }
    const { message, bodyLength } = parseHead(bytes.toString('utf8', at, headEnd).trimEnd())
    const end = headEnd + bodyLength
    if (end > to) return this.#wait(at, end - to)
    this.#state = 'synced'
    this.#sink.message(bodyLength === 0 ? message : { ...message, body: Buffer.from(bytes.subarray(headEnd, end)) })
    return end
  }

  #wait(at: number, missingBytes: number): number {
    this.#missingBytes = missingBytes
    return at
  }

  #lose(): void {
    if (this.#state === 'starting') throw new AppError('MALFORMED', 'the connection does not begin with an RTSP message')
    this.#state = 'lost'
    this.#resyncs += 1
    this.#resyncsInARow += 1
    this.#searchedBytes = 0
    if (this.#resyncsInARow > maxResyncs) {
      throw new AppError(
        'MALFORMED',
        `garbage between RTSP messages, and after ${maxResyncs} attempts no way to find the next one`,
      )
    }
  }

  /** Skips to the next thing that looks like a packet or a response. */
  #search(bytes: Buffer, from: number, to: number): number {
    let at = from
    let verdict: Plausibility = 'no'
    for (; at < to; at++) {
      verdict = isPlausible(bytes, at, to)
      if (verdict !== 'no') break
    }
    this.#skippedBytes += at - from
    this.#searchedBytes += at - from
    if (this.#searchedBytes > maxSearchBytes) {
      throw new AppError('MALFORMED', `garbage between RTSP messages: ${this.#searchedBytes} bytes without a packet or a message`)
    }
    if (verdict === 'unknown') return this.#wait(at, 1)
    if (verdict === 'yes') {
      this.#state = 'synced'
      this.#isFrameAfterSearch = true
      return this.#item(bytes, at, to)
    }
    return at
  }
}

type Plausibility = 'yes' | 'no' | 'unknown'

function isPlausible(bytes: Buffer, at: number, to: number): Plausibility {
  if (bytes[at] === 0x52) {
    const text = bytes.toString('latin1', at, Math.min(to, at + 7))
    if (text === 'RTSP/1.') return 'yes'
    return 'RTSP/1.'.startsWith(text) ? 'unknown' : 'no'
  }
  if (bytes[at] !== dollar) return 'no'
  if (to - at < 5) return 'unknown'
  const length = bytes.readUInt16BE(at + 2)
  const version = Math.floor(bytes.readUInt8(at + 4) / 64)
  if (bytes.readUInt8(at + 1) > maxPlausibleChannel || length < minPlausibleLength || version !== 2) return 'no'
  const after = bytes[at + 4 + length]
  const isFollowed = at + 4 + length >= to || after === dollar || after === 0x52
  return isFollowed ? 'yes' : 'no'
}

/** Whether the bytes can be the start of `METHOD ` or `RTSP/`; true as well when there are too few to tell. */
function couldStartMessage(bytes: Buffer, at: number, to: number): boolean {
  const text = bytes.toString('latin1', at, Math.min(to, at + 33))
  return text.length < 33 ? /^(?:[A-Z_]{0,32}$|[A-Z_]{3,32} |RTSP\/)/.test(text) : /^(?:[A-Z_]{3,32} |RTSP\/)/.test(text)
}

/** Just behind the empty line that ends a head; a line may end without CR. */
function findHeadEnd(bytes: Buffer, at: number, to: number): number | undefined {
  for (let end = bytes.indexOf(0x0a, at); end >= 0 && end < to; end = bytes.indexOf(0x0a, end + 1)) {
    const next = bytes[end + 1]
    if (end + 1 < to && next === 0x0a) return end + 2
    if (end + 2 < to && next === 0x0d && bytes[end + 2] === 0x0a) return end + 3
  }
  return undefined
}
