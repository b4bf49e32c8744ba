import { Writer } from '#bytes/writer.ts'

/** One packet framed for a channel, RFC 2326 §10.12. */
export function interleavedFrame(channel: number, packet: Buffer): Buffer {
  return new Writer(4 + packet.length)
    .u8(0x24) // "$"
    .u8(channel) // channel identifier
    .u16(packet.length) // length
    .raw(packet)
    .finish()
}
