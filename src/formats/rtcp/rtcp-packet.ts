import { Reader } from '#bytes/reader.ts'
import { Writer } from '#bytes/writer.ts'
import { AppError } from '#lib/errors.ts'
import { readNtpTime, writeNtpTime, type NtpTime } from './ntp.ts'

/** Packet types, RFC 3550 §12.1. */
const rtcpTypes = { senderReport: 200, receiverReport: 201, sourceDescription: 202, bye: 203 } as const

/** What a receiver says about one sender, RFC 3550 §6.4.1. */
export type ReportBlock = {
  readonly ssrc: number
  /** Lost since the last report, in 256ths. */
  readonly fractionLost: number
  /** Lost since the beginning; below 0 with duplicates. */
  readonly cumulativeLost: number
  /** Highest sequence number received, wraps counted in the upper 16 bits. */
  readonly highestSequence: number
  readonly jitterTicks: number
  /** `NtpTime.middle` of the last sender report, 0 before any. */
  readonly lastSenderReport: number
  /** Since that report arrived, in 65,536ths of a second. */
  readonly delaySinceLastSenderReport: number
}

type SenderReport = {
  readonly kind: 'sender-report'
  readonly ssrc: number
  /** Wall time of the sender, and the RTP timestamp of the same moment. */
  readonly ntp: NtpTime
  readonly rtpTimestamp: number
  readonly packetCount: number
  readonly payloadBytes: number
  readonly reports: readonly ReportBlock[]
}

export type RtcpPacket =
  | SenderReport
  | { readonly kind: 'receiver-report'; readonly ssrc: number; readonly reports: readonly ReportBlock[] }
  | { readonly kind: 'source-description'; readonly chunks: readonly { readonly ssrc: number; readonly cname?: string }[] }
  | { readonly kind: 'bye'; readonly ssrcs: readonly number[]; readonly reason?: string }

/** SDES item types, RFC 3550 §6.5. */
const sdesItems = { end: 0, cname: 1 } as const

const bodyReaders: Readonly<Record<number, (r: Reader, count: number) => RtcpPacket>> = {
  [rtcpTypes.senderReport]: readSenderReport,
  [rtcpTypes.receiverReport]: readReceiverReport,
  [rtcpTypes.sourceDescription]: readSourceDescription,
  [rtcpTypes.bye]: readBye,
}

/** Parses a compound packet, RFC 3550 §6.1; packets of other types are left out. Throws `MALFORMED` or `TRUNCATED`. */
export function parseRtcp(compound: Uint8Array): RtcpPacket[] {
  const r = new Reader(compound)
  const packets: RtcpPacket[] = []
  while (r.remaining > 0) {
    const first = r.u8() // V, P, RC or SC
    if ((first & 0xc0) !== 0x80) throw new AppError('MALFORMED', 'RTCP packet of another version than 2')
    const type = r.u8() // PT
    const body = new Reader(r.slice(r.u16() * 4)) // length
    const packet = bodyReaders[type]?.(body, first & 0x1f)
    if (packet) packets.push(packet)
  }
  return packets
}

/** SR and SDES with the canonical name, RFC 3550 §6.4.1 and §6.5. */
export function writeSenderReport(report: {
  ssrc: number
  /** Milliseconds since the Unix epoch, and the RTP timestamp of the same moment. */
  ntpMs: number
  rtpTimestamp: number
  packetCount: number
  payloadBytes: number
  cname: string
}): Buffer {
  const w = new Writer(64)
  writePacket(w, rtcpTypes.senderReport, 0, () => {
    w.u32(report.ssrc) // SSRC of sender
    writeNtpTime(w, report.ntpMs) // NTP timestamp
    w.u32(report.rtpTimestamp) // RTP timestamp
    w.u32(report.packetCount % 2 ** 32) // sender's packet count
    w.u32(report.payloadBytes % 2 ** 32) // sender's octet count
  })
  writeCname(w, report.ssrc, report.cname)
  return w.finish()
}

/** RR and SDES with the canonical name, RFC 3550 §6.4.2 and §6.5. At most 31 reports fit; the rest is left out. */
export function writeReceiverReport({
  ssrc,
  cname,
  reports,
}: {
  ssrc: number
  cname: string
  reports: readonly ReportBlock[]
}): Buffer {
  const w = new Writer(64)
  const sent = reports.slice(0, 31)
  writePacket(w, rtcpTypes.receiverReport, sent.length, () => {
    w.u32(ssrc) // SSRC of packet sender
    for (const report of sent) writeReportBlock(w, report)
  })
  writeCname(w, ssrc, cname)
  return w.finish()
}

/** An empty RR, which a compound packet has to begin with, and BYE, RFC 3550 §6.6. */
export function writeBye(ssrc: number): Buffer {
  const w = new Writer(16)
  writePacket(w, rtcpTypes.receiverReport, 0, () => w.u32(ssrc))
  writePacket(w, rtcpTypes.bye, 1, () => w.u32(ssrc))
  return w.finish()
}

function readSenderReport(r: Reader, count: number): SenderReport {
  return {
    kind: 'sender-report',
    ssrc: r.u32(), // SSRC of sender
    ntp: readNtpTime(r), // NTP timestamp
    rtpTimestamp: r.u32(), // RTP timestamp
    packetCount: r.u32(), // sender's packet count
    payloadBytes: r.u32(), // sender's octet count
    reports: readReportBlocks(r, count),
  }
}

function readReceiverReport(r: Reader, count: number): RtcpPacket {
  return { kind: 'receiver-report', ssrc: r.u32(), reports: readReportBlocks(r, count) }
}

function readReportBlocks(r: Reader, count: number): ReportBlock[] {
  return Array.from({ length: count }, () => ({
    ssrc: r.u32(), // SSRC_n
    fractionLost: r.u8(), // fraction lost
    cumulativeLost: signed24(r.u24()), // cumulative number of packets lost
    highestSequence: r.u32(), // extended highest sequence number received
    jitterTicks: r.u32(), // interarrival jitter
    lastSenderReport: r.u32(), // last SR
    delaySinceLastSenderReport: r.u32(), // delay since last SR
  }))
}

function writeReportBlock(w: Writer, report: ReportBlock): void {
  w.u32(report.ssrc) // SSRC_n
  w.u8(report.fractionLost) // fraction lost
  w.u24(unsigned24(report.cumulativeLost)) // cumulative number of packets lost
  w.u32(report.highestSequence) // extended highest sequence number received
  w.u32(report.jitterTicks) // interarrival jitter
  w.u32(report.lastSenderReport) // last SR
  w.u32(report.delaySinceLastSenderReport) // delay since last SR
}

function readSourceDescription(r: Reader, count: number): RtcpPacket {
  const chunks: { ssrc: number; cname?: string }[] = []
  for (let i = 0; i < count; i++) {
    const ssrc = r.u32()
    const cname = readSdesItems(r)
    chunks.push(cname === undefined ? { ssrc } : { ssrc, cname })
  }
  return { kind: 'source-description', chunks }
}

/** The items of one chunk, up to and with the padding to 32 bits; the canonical name where there is one. */
function readSdesItems(r: Reader): string | undefined {
  let cname: string | undefined
  for (let type = r.u8(); type !== sdesItems.end; type = r.u8()) {
    const text = r.slice(r.u8())
    if (type === sdesItems.cname) cname = text.toString('utf8')
  }
  r.skip(Math.min(r.remaining, (4 - (r.pos % 4)) % 4))
  return cname
}

function writeCname(w: Writer, ssrc: number, cname: string): void {
  const name = Buffer.from(cname).subarray(0, 255)
  writePacket(w, rtcpTypes.sourceDescription, 1, () => {
    w.u32(ssrc)
    w.u8(sdesItems.cname)
    w.u8(name.length)
    w.raw(name)
    w.zeros(4 - (w.pos % 4)) // end of items, and padding to 32 bits
  })
}

function readBye(r: Reader, count: number): RtcpPacket {
  const ssrcs = Array.from({ length: count }, () => r.u32())
  if (r.remaining === 0) return { kind: 'bye', ssrcs }
  return { kind: 'bye', ssrcs, reason: r.slice(r.u8()).toString('utf8') }
}

function writePacket(w: Writer, type: number, count: number, body: () => void): void {
  const at = w.pos
  w.u32(0)
  body()
  const lengthMinusOne = (w.pos - at) / 4 - 1
  w.patchU32(at, (0x80 + count) * 2 ** 24 + type * 2 ** 16 + lengthMinusOne) // V=2, P=0, RC or SC; PT; length
}

function signed24(value: number): number {
  return value >= 2 ** 23 ? value - 2 ** 24 : value
}

/** Clamped to what 24 bits hold, RFC 3550 §6.4.1. */
function unsigned24(value: number): number {
  const clamped = Math.max(-(2 ** 23), Math.min(value, 2 ** 23 - 1))
  return clamped < 0 ? clamped + 2 ** 24 : clamped
}
