import { Slabs } from '#bytes/slabs.ts'
import { BitReader } from '#bytes/bit-reader.ts'
import { hasAdtsSync, parseAdtsHeader } from '#formats/aac/adts.ts'
import { parseAudioSpecificConfig } from '#formats/aac/audio-specific-config.ts'
import { AppError } from '#lib/errors.ts'
import { audioSlabBytes, type Depacketizer, type FrameSink } from './depacketizer.ts'
import type { RtpHeader } from './header.ts'
import { wrapTimestamp } from './serial.ts'
import type { RtpParameters } from './track-description.ts'

type AacParameters = Extract<RtpParameters, { codec: 'aac' }>

/** Largest audio frame that is taken: eight times what a frame of eight channels may have, ISO/IEC 14496-3 §4.5.3.1. */
const maxAudioFrameBytes = 64 * 1024

/** Part of a frame that is too large for one packet. */
type Fragment = { readonly bytes: Buffer; length: number; readonly timestamp: number; readonly arrivalMs: number }

/** AAC over RTP, RFC 3640 `mpeg4-generic` in the modes AAC-hbr and AAC-lbr, without interleaving. */
export class AacDepacketizer implements Depacketizer {
  readonly parameters: AacParameters
  readonly #sink: FrameSink
  readonly #slabs = new Slabs(audioSlabBytes)
  readonly #frameTicks: number
  #fragment: Fragment | undefined

  constructor(parameters: AacParameters, clockRateHz: number, sink: FrameSink) {
    this.parameters = parameters
    this.#sink = sink
    this.#frameTicks = frameTicksOf(parameters, clockRateHz)
  }

  gap(): void {
    this.#dropFragment()
  }

  push(packet: Buffer, header: RtpHeader, arrivalMs: number): void {
    const { payloadStart, payloadEnd } = header
    if (payloadStart === payloadEnd) return
    const payload = packet.subarray(payloadStart, payloadEnd)
    const sizes = this.#readSizes(payload)
    if (typeof sizes === 'string') return this.#sink.problem(sizes)
    let at = sizes.headerBytes
    for (const [index, size] of sizes.frameBytes.entries()) {
      const timestamp = wrapTimestamp(header.timestamp + index * this.#frameTicks)
      const end = at + size
      if (end > payload.length)
        return this.#pushFragment(payload.subarray(at), { size, timestamp, arrivalMs, isLast: header.isMarked })
      this.#dropFragment()
      this.#emit(payload.subarray(at, end), timestamp, arrivalMs)
      at = end
    }
  }

  /** The AU header section, RFC 3640 §3.2.1: how long it is, and the sizes of the frames behind it. */
  #readSizes(payload: Buffer): { headerBytes: number; frameBytes: number[] } | 'payload-malformed' | 'payload-unsupported' {
    const { sizeBits, indexBits, indexDeltaBits } = this.parameters.auHeader
    if (sizeBits === 0) return { headerBytes: 0, frameBytes: [payload.length] }
    if (payload.length < 2) return 'payload-malformed'
    const headerBits = payload.readUInt16BE(0) // AU-headers-length
    const headerBytes = 2 + Math.ceil(headerBits / 8)
    if (headerBytes > payload.length || headerBits < sizeBits + indexBits) return 'payload-malformed'
    const r = new BitReader(payload.subarray(2, headerBytes))
    const frameBytes: number[] = []
    for (let bits = headerBits; bits >= sizeBits + (frameBytes.length === 0 ? indexBits : indexDeltaBits);) {
      const before = r.bitsRemaining
      frameBytes.push(r.bits(sizeBits)) // AU-size
      const index = r.bits(frameBytes.length === 1 ? indexBits : indexDeltaBits) // AU-Index or AU-Index-delta
      if (frameBytes.length > 1 && index !== 0) return 'payload-unsupported'
      bits -= before - r.bitsRemaining
    }
    return { headerBytes, frameBytes }
  }

  /** §3.2.3.1: each fragment says the size of the whole frame and has its timestamp; the last one is marked. */
  #pushFragment(part: Buffer, frame: { size: number; timestamp: number; arrivalMs: number; isLast: boolean }): void {
    if (this.#fragment?.timestamp !== frame.timestamp || this.#fragment.bytes.length !== frame.size) this.#dropFragment()
    if (frame.size > maxAudioFrameBytes) return this.#sink.problem('unit-too-large')
    const { timestamp, arrivalMs } = frame
    this.#fragment ??= { bytes: Buffer.allocUnsafeSlow(frame.size), length: 0, timestamp, arrivalMs }
    this.#fragment.length += part.copy(this.#fragment.bytes, this.#fragment.length)
    if (this.#fragment.length === frame.size) {
      const { bytes } = this.#fragment
      this.#fragment = undefined
      this.#emit(bytes, timestamp, arrivalMs)
    } else if (frame.isLast) {
      this.#dropFragment()
    }
  }

  #dropFragment(): void {
    if (this.#fragment) this.#sink.discarded()
    this.#fragment = undefined
  }

  /** One frame, or several wrapped in ADTS against the RFC, as some cameras do. A raw frame cannot begin with its sync word. */
  #emit(bytes: Buffer, timestamp: number, arrivalMs: number): void {
    if (bytes.length === 0) return this.#sink.problem('payload-malformed')
    if (!hasAdtsSync(bytes, 0)) return this.#frame(bytes, timestamp, arrivalMs)
    let frames = 0
    for (let at = 0; at < bytes.length;) {
      const header = findAdtsHeader(bytes, at)
      if (!header || at + header.frameBytes > bytes.length) return this.#sink.problem('payload-malformed')
      const frame = bytes.subarray(at + header.headerBytes, at + header.frameBytes)
      this.#frame(frame, wrapTimestamp(timestamp + frames * this.#frameTicks), arrivalMs)
      frames += 1
      at += header.frameBytes
    }
  }

  #frame(bytes: Buffer, timestamp: number, arrivalMs: number): void {
    const data = this.#slabs.take(bytes.length)
    bytes.copy(data)
    this.#sink.frame({ timestamp, arrivalMs, isKeyframe: true, data })
  }
}

/** Ticks from one frame to the next: the clock is that of SBR's doubled rate in some streams, and that of the core coder in others. */
function frameTicksOf({ config, sampleRateHz }: AacParameters, clockRateHz: number): number {
  try {
    const parsed = parseAudioSpecificConfig(config)
    return Math.round((parsed.frameSamples * clockRateHz) / parsed.sampleRateHz)
  } catch (error) {
    if (error instanceof AppError) return Math.round((1024 * clockRateHz) / sampleRateHz)
    throw error
  }
}

function findAdtsHeader(bytes: Buffer, at: number): ReturnType<typeof parseAdtsHeader> | undefined {
  try {
    return parseAdtsHeader(bytes, at)
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}
