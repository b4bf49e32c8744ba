import { rtpHeaderBytes, writeRtpHeader, type RtpHeader } from './header.ts'

/** `$`, channel and a 16-bit length before a packet within RTSP, RFC 2326 §10.12. */
const interleavedHeaderBytes = 4

const dollar = 0x24

/** Most that the 16-bit length of an interleaved packet can say. */
export const maxInterleavedBytes = 0xffff

/**
 * All packets of one access unit in one buffer, never changed. Each packet follows an interleaved header that is filled in already, so over
 * TCP `bytes` is written as it stands; over UDP each packet is a slice of it, see `packetAt`.
 */
export type RtpBatch = {
  readonly bytes: Buffer
  /** Where the interleaved header of each packet begins. */
  readonly offsets: readonly number[]
  /** 32 bits, of the first packet. */
  readonly rtpTimestamp: number
  /** Payloads without any headers, as sender reports count them. */
  readonly payloadBytes: number
}

/** A packet of a batch as a view, beginning with its RTP header. */
export function packetAt(batch: RtpBatch, index: number): Buffer {
  const start = batch.offsets[index] ?? batch.bytes.length
  const end = batch.offsets[index + 1] ?? batch.bytes.length
  return batch.bytes.subarray(Math.min(start + interleavedHeaderBytes, end), end)
}

/** The batch for a reader on another interleaved channel: one copy and a byte per packet, instead of packetizing again. */
export function withChannel(batch: RtpBatch, channel: number): RtpBatch {
  const bytes = Buffer.allocUnsafeSlow(batch.bytes.length)
  batch.bytes.copy(bytes)
  for (const offset of batch.offsets) bytes[offset + 1] = channel
  return { ...batch, bytes }
}

/** Fills a batch packet by packet. The caller knows how many there are and how long their payloads are together. */
export class BatchWriter {
  readonly #header: RtpHeader
  readonly #channel: number
  readonly #firstTimestamp: number
  readonly #payloadBytes: number
  readonly #offsets: number[] = []
  /** Where the payload of the packet goes that `startPacket` began, and on. */
  pos = 0
  readonly bytes: Buffer

  /** `header` carries payload type, SSRC, timestamp and the next sequence number; the writer counts the latter on. */
  constructor(header: RtpHeader, channel: number, { packets, payloadBytes }: { packets: number; payloadBytes: number }) {
    this.#header = header
    this.#channel = channel
    this.#firstTimestamp = header.timestamp
    this.#payloadBytes = payloadBytes
    this.bytes = Buffer.allocUnsafeSlow(packets * (interleavedHeaderBytes + rtpHeaderBytes) + payloadBytes)
  }

  startPacket(payloadBytes: number, isMarked: boolean): void {
    const at = this.pos
    this.#offsets.push(at)
    this.bytes[at] = dollar
    this.bytes[at + 1] = this.#channel
    this.bytes.writeUInt16BE(rtpHeaderBytes + payloadBytes, at + 2)
    this.#header.isMarked = isMarked
    writeRtpHeader(this.#header, this.bytes, at + interleavedHeaderBytes)
    this.#header.sequenceNumber = (this.#header.sequenceNumber + 1) & 0xffff
    this.pos = at + interleavedHeaderBytes + rtpHeaderBytes
  }

  u8(value: number): void {
    this.bytes[this.pos] = value
    this.pos += 1
  }

  u16(value: number): void {
    this.pos = this.bytes.writeUInt16BE(value, this.pos)
  }

  raw(source: Buffer, start: number, end: number): void {
    this.pos += source.copy(this.bytes, this.pos, start, end)
  }

  finish(): RtpBatch {
    return { bytes: this.bytes, offsets: this.#offsets, rtpTimestamp: this.#firstTimestamp, payloadBytes: this.#payloadBytes }
  }
}
