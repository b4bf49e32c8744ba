/** Bytes of a header without contributing sources and extension. */
export const rtpHeaderBytes = 12

/** Why a packet cannot be read. */
export type RtpHeaderProblem = 'rtp-truncated' | 'rtp-version' | 'rtp-padding'

/** The fields of an RTP packet that matter, RFC 3550 §5.1. One object is filled again and again: packets are too many for one each. */
export class RtpHeader {
  payloadType = 0
  isMarked = false
  sequenceNumber = 0
  timestamp = 0
  ssrc = 0
  /** Where the payload lies in the packet: behind contributing sources and extension, before padding. */
  payloadStart = 0
  payloadEnd = 0

  /** Fills the fields from a packet; says what is wrong when they cannot be used. Never throws. */
  read(packet: Buffer): RtpHeaderProblem | undefined {
    const first = packet[0]
    const second = packet[1]
    if (first === undefined || second === undefined || packet.length < rtpHeaderBytes) return 'rtp-truncated'
    if ((first & 0xc0) !== 0x80) return 'rtp-version'
    this.isMarked = second >= 0x80
    this.payloadType = second & 0x7f
    this.sequenceNumber = packet.readUInt16BE(2)
    this.timestamp = packet.readUInt32BE(4)
    this.ssrc = packet.readUInt32BE(8)
    this.payloadStart = rtpHeaderBytes
    this.payloadEnd = packet.length
    return (first & 0x3f) === 0 ? undefined : this.#readOptions(packet, first)
  }

  #readOptions(packet: Buffer, first: number): RtpHeaderProblem | undefined {
    let start = rtpHeaderBytes + (first & 0x0f) * 4 // CC contributing sources
    if ((first & 0x10) !== 0) {
      if (start + 4 > packet.length) return 'rtp-truncated'
      start += 4 + packet.readUInt16BE(start + 2) * 4 // X: header extension, §5.3.1
    }
    if (start > packet.length) return 'rtp-truncated'
    this.payloadStart = start
    if ((first & 0x20) === 0) return undefined
    const padding = packet[packet.length - 1] ?? 0 // P
    if (padding === 0 || start + padding > packet.length) return 'rtp-padding'
    this.payloadEnd = packet.length - padding
    return undefined
  }
}

/** Writes a header of 12 bytes at `at` from the fields of `header`, the payload's place left aside. */
export function writeRtpHeader(header: RtpHeader, bytes: Buffer, at: number): void {
  bytes[at] = 0x80 // V=2, P=0, X=0, CC=0
  bytes[at + 1] = header.isMarked ? header.payloadType + 0x80 : header.payloadType // M, PT
  bytes.writeUInt16BE(header.sequenceNumber, at + 2) // sequence number
  bytes.writeUInt32BE(header.timestamp, at + 4) // timestamp
  bytes.writeUInt32BE(header.ssrc, at + 8) // SSRC
}
