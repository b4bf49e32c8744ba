import { nalUnits, type AccessUnit } from '#formats/media/access-unit.ts'
import type { CodecParameters, Track } from '#formats/media/track.ts'
import { AppError } from '#lib/errors.ts'
import { BatchWriter, maxInterleavedBytes, type RtpBatch } from './batch.ts'
import { RtpHeader, rtpHeaderBytes } from './header.ts'
import { fuFlags, h264PacketTypes, h265PacketTypes } from './nal-packets.ts'
import { wrapTimestamp } from './serial.ts'

const minPayloadBytes = 64
const maxPayloadLimit = maxInterleavedBytes - rtpHeaderBytes

/** How NAL units are cut, RFC 6184 §5.8 and RFC 7798 §4.4.3: header bytes of the unit, and of a fragment. */
const nalFraming = { h264: { nalBytes: 1, fragmentBytes: 2 }, h265: { nalBytes: 2, fragmentBytes: 3 } } as const
type NalCodec = keyof typeof nalFraming

/** AU-headers-length and one AU header of 13 + 3 bits, RFC 3640 §3.3.6. */
const aacHeaderBytes = 4
const maxAacFrameBytes = 2 ** 13 - 1

/** Sends the access units of one track as RTP: one batch a unit, for all readers. */
export class RtpPacketizer {
  readonly #header = new RtpHeader()
  readonly #clockRateHz: number
  readonly #maxPayloadBytes: number
  readonly #timestampOffset: number
  #packetCount = 0
  #payloadBytes = 0

  /** `maxPayloadBytes` is without the 12 bytes of the RTP header, 64 to 65,523; throws `UNSUPPORTED` outside. */
  constructor(options: {
    track: Track
    payloadType: number
    ssrc: number
    maxPayloadBytes: number
    firstSequenceNumber: number
    timestampOffset: number
  }) {
    const { maxPayloadBytes } = options
    if (maxPayloadBytes < minPayloadBytes || maxPayloadBytes > maxPayloadLimit) {
      throw new AppError(
        'UNSUPPORTED',
        `RTP payloads of ${maxPayloadBytes} bytes; choose ${minPayloadBytes} to ${maxPayloadLimit}`,
      )
    }
    this.#header.payloadType = options.payloadType
    this.#header.ssrc = options.ssrc
    this.#header.sequenceNumber = options.firstSequenceNumber
    this.#clockRateHz = options.track.clockRateHz
    this.#maxPayloadBytes = maxPayloadBytes
    this.#timestampOffset = options.timestampOffset
  }

  get ssrc(): number {
    return this.#header.ssrc
  }
  get clockRateHz(): number {
    return this.#clockRateHz
  }
  get nextSequenceNumber(): number {
    return this.#header.sequenceNumber
  }
  /** Packets and payload bytes so far, for sender reports. */
  get packetCount(): number {
    return this.#packetCount
  }
  get payloadBytes(): number {
    return this.#payloadBytes
  }

  /** The RTP timestamp of a moment on the units' timeline. */
  rtpTimestampOf(ptsTicks: number): number {
    return wrapTimestamp(this.#timestampOffset + ptsTicks)
  }

  /**
   * The packets of a unit of the track; before a keyframe come the parameter sets of `unit.track`. A frame that the payload format
   * cannot carry, such as an AAC frame above 8191 bytes, gives a batch without packets.
   */
  packetize(unit: AccessUnit, channel = 0): RtpBatch {
    this.#header.timestamp = this.rtpTimestampOf(unit.ptsTicks)
    const batch = this.#packetize(unit, channel)
    this.#packetCount += batch.offsets.length
    this.#payloadBytes += batch.payloadBytes
    return batch
  }

  #packetize(unit: AccessUnit, channel: number): RtpBatch {
    const { parameters } = unit.track
    switch (parameters.codec) {
      case 'h264':
      case 'h265':
        return this.#packetizeNals(nalsToSend(unit, parameters), parameters.codec, channel)
      case 'aac':
        return this.#packetizeAac(unit.data, channel)
      case 'opus':
        return this.#packetizeWhole(unit.data, channel)
      case 'pcma':
      case 'pcmu':
        return this.#packetizeSamples(unit.data, parameters.channelCount, channel)
      default:
        return parameters satisfies never
    }
  }

  /** 0.2 to 0.4 µs per packet, with units of 20 kB and payloads of 1200 bytes; a copy for another channel is 0.15 µs (`bench/rtp.ts`). */
  #packetizeNals(nals: readonly Buffer[], codec: NalCodec, channel: number): RtpBatch {
    const { nalBytes, fragmentBytes } = nalFraming[codec]
    const chunkBytes = this.#maxPayloadBytes - fragmentBytes
    const size = { packets: 0, payloadBytes: 0 }
    for (const { length } of nals) {
      const fragments = length <= this.#maxPayloadBytes ? 0 : Math.ceil((length - nalBytes) / chunkBytes)
      size.packets += fragments || 1
      size.payloadBytes += fragments === 0 ? length : length - nalBytes + fragments * fragmentBytes
    }
    const w = new BatchWriter(this.#header, channel, size)
    const last = nals.at(-1)
    for (const nal of nals) {
      if (nal.length > this.#maxPayloadBytes) {
        writeFragments(w, nal, { codec, chunkBytes, isLast: nal === last })
        continue
      }
      w.startPacket(nal.length, nal === last)
      w.raw(nal, 0, nal.length)
    }
    return w.finish()
  }

  /** RFC 3640 §3.2: one frame a packet, or a fragment of one; each says the size of the whole frame. */
  #packetizeAac(frame: Buffer, channel: number): RtpBatch {
    const chunkBytes = this.#maxPayloadBytes - aacHeaderBytes
    const packets = frame.length > maxAacFrameBytes ? 0 : Math.ceil(frame.length / chunkBytes)
    const w = new BatchWriter(this.#header, channel, {
      packets,
      payloadBytes: packets && frame.length + packets * aacHeaderBytes,
    })
    for (let packet = 0; packet < packets; packet++) {
      const start = packet * chunkBytes
      const end = Math.min(frame.length, start + chunkBytes)
      w.startPacket(aacHeaderBytes + end - start, end === frame.length)
      w.u16(16) // AU-headers-length
      w.u16(frame.length * 8) // AU-size, AU-Index
      w.raw(frame, start, end)
    }
    return w.finish()
  }

  /** RFC 7587 §4.2: an Opus packet is never cut; one above the limit goes out in one piece and leaves fragmenting to IP. */
  #packetizeWhole(frame: Buffer, channel: number): RtpBatch {
    const canSend = frame.length > 0 && frame.length <= maxPayloadLimit
    const w = new BatchWriter(
      this.#header,
      channel,
      canSend ? { packets: 1, payloadBytes: frame.length } : { packets: 0, payloadBytes: 0 },
    )
    if (canSend) {
      w.startPacket(frame.length, false)
      w.raw(frame, 0, frame.length)
    }
    return w.finish()
  }

  /** RFC 3551 §4.5.14: one byte a sample and channel; cut between samples, each part with its own time. */
  #packetizeSamples(samples: Buffer, channelCount: number, channel: number): RtpBatch {
    const chunkBytes = this.#maxPayloadBytes - (this.#maxPayloadBytes % channelCount)
    const packets = Math.ceil(samples.length / chunkBytes)
    const w = new BatchWriter(this.#header, channel, { packets, payloadBytes: samples.length })
    const firstTimestamp = this.#header.timestamp
    for (let start = 0; start < samples.length; start += chunkBytes) {
      const end = Math.min(samples.length, start + chunkBytes)
      this.#header.timestamp = wrapTimestamp(firstTimestamp + start / channelCount)
      w.startPacket(end - start, false)
      w.raw(samples, start, end)
    }
    return w.finish()
  }
}

function nalsToSend(unit: AccessUnit, parameters: Extract<CodecParameters, { codec: NalCodec }>): Buffer[] {
  const nals = unit.isKeyframe ? parameterSets(parameters) : []
  for (const nal of nalUnits(unit.data)) if (nal.length > 0) nals.push(nal)
  return nals
}

function parameterSets(parameters: Extract<CodecParameters, { codec: NalCodec }>): Buffer[] {
  const { sps, pps } = parameters
  return parameters.codec === 'h265' ? [parameters.vps, sps, pps] : [sps, pps]
}

/** FU-A, RFC 6184 §5.8, or FU, RFC 7798 §4.4.3. */
function writeFragments(w: BatchWriter, nal: Buffer, options: { codec: NalCodec; chunkBytes: number; isLast: boolean }): void {
  const { codec, chunkBytes, isLast } = options
  const { nalBytes, fragmentBytes } = nalFraming[codec]
  const first = nal.readUInt8(0)
  const type = codec === 'h264' ? first & 0x1f : (first & 0x7e) / 2
  for (let start = nalBytes; start < nal.length; start += chunkBytes) {
    const end = Math.min(nal.length, start + chunkBytes)
    w.startPacket(fragmentBytes + end - start, isLast && end === nal.length)
    if (codec === 'h264') {
      w.u8((first & 0xe0) | h264PacketTypes.fuA) // FU indicator: F, NRI, Type
    } else {
      w.u8((first & 0x81) | (h265PacketTypes.fragmentation * 2)) // PayloadHdr: F, Type, upper bit of LayerId
      w.u8(nal.readUInt8(1)) // LayerId, TID
    }
    w.u8(type | (start === nalBytes ? fuFlags.start : 0) | (end === nal.length ? fuFlags.end : 0)) // FU header: S, E, type
    w.raw(nal, start, end)
  }
}
