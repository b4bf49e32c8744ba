import { BitReader } from '#bytes/bit-reader.ts'
import { isH265RandomAccess, h265NalType, h265NalTypes } from '#formats/h265/nal-unit.ts'
import { parseH265Sps } from '#formats/h265/sps.ts'
import type { Depacketizer, FrameSink } from './depacketizer.ts'
import type { RtpHeader } from './header.ts'
import { fuFlags, h265PacketTypes } from './nal-packets.ts'
import { judgeParameterSet, pictureSetId } from './parameter-sets.ts'
import type { RtpParameters } from './track-description.ts'
import { VideoAssembler, type NalRole, type NalRules } from './video-assembler.ts'

const nalHeaderBytes = 2
const setNames: Readonly<Record<number, 'vps' | 'sps' | 'pps'>> = {
  [h265NalTypes.vps]: 'vps',
  [h265NalTypes.sps]: 'sps',
  [h265NalTypes.pps]: 'pps',
}
const setParsers = {
  vps: (nal: Buffer) => {
    new BitReader(nal.subarray(nalHeaderBytes)).skip(32) // up to vps_reserved_0xffff_16bits
    return 0
  },
  sps: (nal: Buffer) => {
    parseH265Sps(nal)
    return 0
  },
  pps: (nal: Buffer) => pictureSetId(nal, nalHeaderBytes),
}

const roles: readonly NalRole[] = Array.from({ length: 64 }, (_, type) => h265Role(type))

/** H.265 over RTP, RFC 7798, in one stream. Decoding order numbers are skipped: units come in decoding order. */
export class H265Depacketizer implements Depacketizer, NalRules {
  readonly headerBytes = nalHeaderBytes
  readonly #sink: FrameSink
  readonly #assembler: VideoAssembler
  #parameters: Extract<RtpParameters, { codec: 'h265' }>
  /** The SPS is new, so the next PPS takes the place of the old one whatever its id. */
  #isPpsStale = false

  constructor(given: Extract<RtpParameters, { codec: 'h265' }>, sink: FrameSink) {
    this.#sink = sink
    this.#assembler = new VideoAssembler(this, sink)
    this.#parameters = { codec: 'h265', hasDonl: given.hasDonl }
    for (const set of [given.vps, given.sps, given.pps]) if (set) this.takeParameterSet(set)
  }

  get parameters(): RtpParameters {
    return this.#parameters
  }

  gap(): void {
    this.#assembler.gap()
  }

  push(packet: Buffer, header: RtpHeader, arrivalMs: number): void {
    const { payloadStart, payloadEnd } = header
    if (payloadStart === payloadEnd) return
    this.#assembler.startPacket(header.timestamp, arrivalMs)
    const type = h265NalType(packet[payloadStart] ?? 0)
    if (type === h265PacketTypes.fragmentation) this.#pushFragment(packet, payloadStart, payloadEnd)
    else if (type === h265PacketTypes.aggregation) this.#pushAggregate(packet, payloadStart + nalHeaderBytes, payloadEnd)
    else if (type < h265PacketTypes.aggregation) this.#pushSingle(packet, payloadStart, payloadEnd)
    else this.#assembler.damage('payload-unsupported')
    this.#assembler.endPacket(header.isMarked)
  }

  roleOf(firstByte: number): NalRole {
    return roles[h265NalType(firstByte)] ?? 'invalid'
  }

  /** `first_slice_segment_in_pic_flag`. */
  startsPicture(slice: Buffer): boolean {
    return (slice[nalHeaderBytes] ?? 0) >= 0x80
  }

  /** Random access points are NAL unit types of their own. */
  isRecoveryPoint(): boolean {
    return false
  }

  takeParameterSet(nal: Buffer): boolean {
    const name = setNames[h265NalType(nal[0] ?? 0)]
    if (!name) return true
    const known = name === 'pps' && this.#isPpsStale ? undefined : this.#parameters[name]
    const verdict = judgeParameterSet(known, nal, setParsers[name])
    if (verdict === 'new') {
      this.#parameters = { ...this.#parameters, [name]: Buffer.from(nal) }
      if (name !== 'vps') this.#isPpsStale = name === 'sps'
    }
    if (verdict === 'invalid') this.#sink.problem('parameter-set-invalid')
    return verdict !== 'additional'
  }

  /** §4.4.1: with a decoding order number the NAL unit's header is apart from its payload. */
  #pushSingle(packet: Buffer, start: number, end: number): void {
    const donlBytes = this.#parameters.hasDonl ? 2 : 0
    if (start + nalHeaderBytes + donlBytes > end) return this.#assembler.damage('payload-malformed')
    this.#assembler.startNal()
    this.#assembler.append(packet, start, start + nalHeaderBytes)
    this.#assembler.append(packet, start + nalHeaderBytes + donlBytes, end)
    this.#assembler.endNal()
  }

  /** §4.4.2. Some senders fill it up with zeros. */
  #pushAggregate(packet: Buffer, start: number, end: number): void {
    const { hasDonl } = this.#parameters
    let donBytes = hasDonl ? 2 : 0 // DONL before the first, DOND before the others
    for (let at = start; at + donBytes + 2 <= end;) {
      at += donBytes
      const size = packet.readUInt16BE(at)
      at += 2
      if (size === 0) continue
      if (at + size > end) return this.#assembler.damage('payload-malformed')
      this.#assembler.startNal()
      this.#assembler.append(packet, at, at + size)
      this.#assembler.endNal()
      at += size
      donBytes = hasDonl ? 1 : 0
    }
  }

  /** §4.4.3. A fragment that is start and end at once is against the RFC, but complete. */
  #pushFragment(packet: Buffer, start: number, end: number): void {
    if (start + nalHeaderBytes + 1 > end) return this.#assembler.damage('payload-malformed')
    const fuHeader = packet.readUInt8(start + nalHeaderBytes)
    const isStart = (fuHeader & fuFlags.start) !== 0
    if (isStart) {
      this.#assembler.startNal()
      this.#assembler.appendByte((packet.readUInt8(start) & 0x81) | ((fuHeader & 0x3f) * 2)) // F, FuType, upper bit of LayerId
      this.#assembler.appendByte(packet.readUInt8(start + 1)) // LayerId, TID
    } else if (!this.#assembler.hasOpenNal) {
      return this.#assembler.damage('fragment-without-start')
    }
    const payload = start + nalHeaderBytes + 1 + (isStart && this.#parameters.hasDonl ? 2 : 0)
    if (payload <= end) this.#assembler.append(packet, payload, end)
    if ((fuHeader & fuFlags.end) !== 0) this.#assembler.endNal()
  }
}

function h265Role(type: number): NalRole {
  if (isH265RandomAccess(type)) return 'key-slice'
  if (type <= h265NalTypes.reservedVcl) return 'slice'
  if (type in setNames) return 'parameter-set'
  if (type === h265NalTypes.accessUnitDelimiter || type === h265NalTypes.filler) return 'dropped'
  return type >= h265PacketTypes.aggregation ? 'invalid' : 'other'
}
