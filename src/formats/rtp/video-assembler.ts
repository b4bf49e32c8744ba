import { Slabs } from '#bytes/slabs.ts'
import { hasStartCode, splitAnnexB } from '#formats/h264/annex-b.ts'
import type { FrameSink, PayloadProblem } from './depacketizer.ts'

/** Largest video access unit that is taken: 16 MiB, several times an 8K intra picture of a good encoder. */
export const maxUnitBytes = 16 * 1024 * 1024

/** Half a second of 4 Mbit/s. */
const slabBytes = 256 * 1024
const firstCapacity = 64 * 1024
const lengthBytes = 4

/** What becomes of a NAL unit. */
export type NalRole =
  | 'slice'
  /** A slice of a picture at which decoding can start. */
  | 'key-slice'
  | 'parameter-set'
  | 'sei'
  /** Kept as it is. */
  | 'other'
  /** Says nothing that is needed: delimiters, filler. */
  | 'dropped'
  | 'invalid'

/** What the assembler must know of a codec. `nal` is a view into scratch memory: copy what is kept. */
export interface NalRules {
  readonly headerBytes: number
  roleOf(firstByte: number): NalRole
  /** Whether a slice is the first one of its picture. */
  startsPicture(nal: Buffer): boolean
  /** Whether an SEI message says that decoding can start here, with a correct picture at once. */
  isRecoveryPoint(nal: Buffer): boolean
  /** Remembers a parameter set. False: it is not one for the track, and stays in the access unit. */
  takeParameterSet(nal: Buffer): boolean
}

/**
 * Joins NAL units to access units, each in one buffer with length prefixes. Payloads are copied twice: into scratch memory that is
 * kept, and from there into a slab, because packets are views into 64 kB socket reads that must not be held.
 *
 * A unit ends at the marker bit, or at the next timestamp where senders do not set it. A unit is damaged when a packet was lost inside it,
 * or before it unless its first slice is seen to begin a picture.
 */
export class VideoAssembler {
  readonly #rules: NalRules
  readonly #sink: FrameSink
  readonly #slabs = new Slabs(slabBytes)
  #bytes = Buffer.allocUnsafeSlow(firstCapacity)
  #length = 0
  /** Where the length prefix of the open NAL unit is. */
  #nalAt: number | undefined

  #isOpen = false
  #timestamp = 0
  #arrivalMs = 0
  #hasSlice = false
  #isKeyframe = false
  #isDamaged = false
  #isSuspect = false
  /** Also at the very beginning: the stream may have been joined in the middle of a unit. */
  #hasGap = true

  constructor(rules: NalRules, sink: FrameSink) {
    this.#rules = rules
    this.#sink = sink
  }

  get hasOpenNal(): boolean {
    return this.#nalAt !== undefined
  }

  /** Packets are missing before the next one. */
  gap(): void {
    this.#hasGap = true
    this.#isDamaged = true
    this.#dropOpenNal()
  }

  startPacket(timestamp: number, arrivalMs: number): void {
    if (this.#isOpen && timestamp !== this.#timestamp) this.#finish()
    if (!this.#isOpen) this.#open(arrivalMs)
    this.#timestamp = timestamp
    this.#hasGap = false
  }

  endPacket(isMarked: boolean): void {
    if (isMarked) this.#finish()
  }

  /** Begins a NAL unit; one that is still open ends, as some senders do not flag the last fragment. */
  startNal(): void {
    this.endNal()
    this.#nalAt = this.#length
    this.#reserve(lengthBytes)
  }

  appendByte(value: number): void {
    const at = this.#reserve(1)
    if (at !== undefined) this.#bytes[at] = value
  }

  append(packet: Buffer, start: number, end: number): void {
    const at = this.#reserve(end - start)
    if (at !== undefined) packet.copy(this.#bytes, at, start, end)
  }

  endNal(): void {
    const at = this.#nalAt
    if (at === undefined) return
    this.#nalAt = undefined
    const nal = this.#bytes.subarray(at + lengthBytes, this.#length)
    // Some cameras put several units with start codes into one packet. Looking for them costs 0.03 µs per kB.
    if (!hasStartCode(nal)) return this.#keep(at, nal)
    const inner = splitAnnexB(Buffer.from(nal))
    this.#length = at
    for (const part of inner) {
      const partAt = this.#reserve(lengthBytes + part.length)
      if (partAt === undefined) return
      part.copy(this.#bytes, partAt + lengthBytes)
      this.#keep(partAt, part)
    }
  }

  /** A part of this unit cannot be used. Counted once per unit, and not at all where a known loss explains it. */
  damage(reason: PayloadProblem): void {
    if (!this.#isDamaged && !this.#isSuspect) this.#sink.problem(reason)
    this.#isDamaged = true
    this.#dropOpenNal()
  }

  #open(arrivalMs: number): void {
    this.#isOpen = true
    this.#arrivalMs = arrivalMs
    this.#length = 0
    this.#hasSlice = false
    this.#isKeyframe = false
    this.#isDamaged = false
    this.#isSuspect = this.#hasGap
  }

  #finish(): void {
    this.endNal()
    if (this.#isDamaged) {
      this.#isOpen = false
      this.#sink.discarded()
    } else if (this.#hasSlice) {
      this.#isOpen = false
      const data = this.#slabs.take(this.#length)
      this.#bytes.copy(data, 0, 0, this.#length)
      this.#sink.frame({ timestamp: this.#timestamp, arrivalMs: this.#arrivalMs, isKeyframe: this.#isKeyframe, data })
    }
    // Otherwise there are only SEI messages so far, marked or timed on their own: they belong to the picture that follows.
  }

  #keep(at: number, nal: Buffer): void {
    const role = nal.length < this.#rules.headerBytes ? 'invalid' : this.#rules.roleOf(nal[0] ?? 0)
    if (role === 'slice' || role === 'key-slice') {
      if (!this.#hasSlice && this.#isSuspect && !this.#rules.startsPicture(nal)) this.#isDamaged = true
      this.#hasSlice = true
      if (role === 'key-slice') this.#isKeyframe = true
    } else if (role === 'sei') {
      if (this.#rules.isRecoveryPoint(nal)) this.#isKeyframe = true
    } else if (role !== 'other') {
      if (role === 'invalid' && nal.length > 0) this.#sink.problem('payload-malformed')
      if (role !== 'parameter-set' || this.#rules.takeParameterSet(nal)) {
        this.#length = at
        return
      }
    }
    this.#bytes.writeUInt32BE(this.#length - at - lengthBytes, at)
  }

  #dropOpenNal(): void {
    if (this.#nalAt !== undefined) this.#length = this.#nalAt
    this.#nalAt = undefined
  }

  /** Room for so many bytes at the end; `undefined` when the unit is too large, which damages it. */
  #reserve(byteCount: number): number | undefined {
    const at = this.#length
    const length = at + byteCount
    if (length > this.#bytes.length) {
      if (length > maxUnitBytes) {
        this.damage('unit-too-large')
        return undefined
      }
      const grown = Buffer.allocUnsafeSlow(Math.min(maxUnitBytes, Math.max(this.#bytes.length * 2, length)))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    this.#length = length
    return at
  }
}
