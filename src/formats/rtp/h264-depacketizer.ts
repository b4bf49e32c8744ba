import { h264NalType, h264NalTypes } from '#formats/h264/nal-unit.ts'
import { isRecoveryPoint } from '#formats/h264/sei.ts'
import { parseH264Sps } from '#formats/h264/sps.ts'
import type { Depacketizer, FrameSink } from './depacketizer.ts'
import type { RtpHeader } from './header.ts'
import { fuFlags, h264PacketTypes } from './nal-packets.ts'
import { judgeParameterSet, pictureSetId } from './parameter-sets.ts'
import type { RtpParameters } from './track-description.ts'
import { VideoAssembler, type NalRole, type NalRules } from './video-assembler.ts'

const setParsers = {
  sps: (nal: Buffer) => {
    parseH264Sps(nal)
    return 0
  },
  pps: (nal: Buffer) => pictureSetId(nal, 1),
}

const roles: readonly NalRole[] = Array.from({ length: 32 }, (_, type) => h264Role(type))

/** H.264 over RTP, RFC 6184, single NAL unit and non-interleaved mode. */
export class H264Depacketizer implements Depacketizer, NalRules {
  readonly headerBytes = 1
  readonly #sink: FrameSink
  readonly #assembler: VideoAssembler
  #parameters: Extract<RtpParameters, { codec: 'h264' }> = { codec: 'h264' }
  /** The SPS is new, so the next PPS takes the place of the old one whatever its id. */
  #isPpsStale = false

  constructor(given: Extract<RtpParameters, { codec: 'h264' }>, sink: FrameSink) {
    this.#sink = sink
    this.#assembler = new VideoAssembler(this, sink)
    if (given.sps) this.takeParameterSet(given.sps)
    if (given.pps) this.takeParameterSet(given.pps)
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
    const type = h264NalType(packet[payloadStart] ?? 0)
    if (type === h264PacketTypes.fuA) this.#pushFragment(packet, payloadStart, payloadEnd)
    else if (type === h264PacketTypes.stapA) this.#pushAggregate(packet, payloadStart + 1, payloadEnd)
    else if (type < h264PacketTypes.stapA) this.#pushNal(packet, payloadStart, payloadEnd)
    else this.#assembler.damage('payload-unsupported')
    this.#assembler.endPacket(header.isMarked)
  }

  roleOf(firstByte: number): NalRole {
    return roles[h264NalType(firstByte)] ?? 'invalid'
  }

  /** `first_mb_in_slice` is 0: its Exp-Golomb code is a single 1. */
  startsPicture(slice: Buffer): boolean {
    return (slice[1] ?? 0) >= 0x80
  }

  isRecoveryPoint(sei: Buffer): boolean {
    return isRecoveryPoint(sei)
  }

  takeParameterSet(nal: Buffer): boolean {
    const name = h264NalType(nal[0] ?? 0) === h264NalTypes.sps ? 'sps' : 'pps'
    const known = name === 'pps' && this.#isPpsStale ? undefined : this.#parameters[name]
    const verdict = judgeParameterSet(known, nal, setParsers[name])
    if (verdict === 'new') {
      this.#parameters = { ...this.#parameters, [name]: Buffer.from(nal) }
      this.#isPpsStale = name === 'sps'
    }
    if (verdict === 'invalid') this.#sink.problem('parameter-set-invalid')
    return verdict !== 'additional'
  }

  #pushNal(packet: Buffer, start: number, end: number): void {
    this.#assembler.startNal()
    this.#assembler.append(packet, start, end)
    this.#assembler.endNal()
  }

  /** STAP-A, §5.7.1. Some senders fill it up with zeros. */
  #pushAggregate(packet: Buffer, start: number, end: number): void {
    for (let at = start; at + 2 <= end;) {
      const size = packet.readUInt16BE(at)
      at += 2
      if (size === 0) continue
      if (at + size > end) return this.#assembler.damage('payload-malformed')
      this.#pushNal(packet, at, at + size)
      at += size
    }
  }

  /** FU-A, §5.8. A fragment that is start and end at once is against the RFC, but complete. */
  #pushFragment(packet: Buffer, start: number, end: number): void {
    if (start + 2 > end) return this.#assembler.damage('payload-malformed')
    const indicator = packet.readUInt8(start)
    const fuHeader = packet.readUInt8(start + 1)
    if ((fuHeader & fuFlags.start) !== 0) {
      this.#assembler.startNal()
      this.#assembler.appendByte((indicator & 0xe0) | h264NalType(fuHeader)) // F, NRI and type of the fragmented unit
    } else if (!this.#assembler.hasOpenNal) {
      return this.#assembler.damage('fragment-without-start')
    }
    this.#assembler.append(packet, start + 2, end)
    if ((fuHeader & fuFlags.end) !== 0) this.#assembler.endNal()
  }
}

function h264Role(type: number): NalRole {
  if (type === h264NalTypes.idrSlice) return 'key-slice'
  if (type === h264NalTypes.slice || type === h264NalTypes.partitionA) return 'slice'
  if (type === h264NalTypes.sps || type === h264NalTypes.pps) return 'parameter-set'
  if (type === h264NalTypes.sei) return 'sei'
  if (type === h264NalTypes.accessUnitDelimiter || type === h264NalTypes.filler) return 'dropped'
  return type === 0 || type >= h264PacketTypes.stapA ? 'invalid' : 'other'
}
