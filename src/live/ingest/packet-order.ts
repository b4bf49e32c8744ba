import { sequenceDelta } from '#formats/rtp/serial.ts'
import { maxDropout, maxMisorder } from './reception-report.ts'

/** How many packets ahead of a missing one are held, and for how long. At 20 Mbit/s 128 packets are 60 ms. */
export const reorderCapacity = 128
export const reorderMs = 100

/** Who gets the packets of a track in the order of their sequence numbers. */
export interface OrderedSink {
  deliver(packet: Buffer, arrivalMs: number): void
  /** So many packets before the next one will not come; 0 when the sender began to count anew. */
  missing(packets: number): void
  /** A packet came twice, or after it was given up; it is not delivered. */
  late(): void
}

/**
 * Puts packets in order. Over TCP they are, and a gap is a loss at once; over UDP packets behind a gap wait for the missing ones, at
 * most `reorderCapacity` of them and at most `reorderMs`. There is no timer: time passes with the packets.
 */
export class PacketOrder {
  readonly #sink: OrderedSink
  readonly #isReordering: boolean
  #expected: number | undefined
  /** By sequence number modulo the capacity. */
  readonly #held: ({ packet: Buffer; arrivalMs: number } | undefined)[]
  #heldCount = 0
  #heldSinceMs = 0

  constructor(sink: OrderedSink, { isReordering }: { isReordering: boolean }) {
    this.#sink = sink
    this.#isReordering = isReordering
    this.#held = isReordering ? Array.from({ length: reorderCapacity }) : []
  }

  /** While reordering, `packet` may be kept until a later call. */
  push(packet: Buffer, sequenceNumber: number, arrivalMs: number): void {
    const ahead = this.#expected === undefined ? 0 : sequenceDelta(this.#expected, sequenceNumber)
    if (ahead === 0) {
      this.#deliver(packet, sequenceNumber, arrivalMs)
      if (this.#heldCount > 0) this.#releaseNext()
    } else if (ahead > 0x10000 - maxMisorder) {
      this.#sink.late()
    } else if (this.#isReordering && ahead < reorderCapacity) {
      this.#hold(packet, sequenceNumber, arrivalMs)
    } else {
      this.#skipTo(packet, sequenceNumber, arrivalMs)
    }
    if (this.#heldCount > 0 && arrivalMs - this.#heldSinceMs > reorderMs) this.#giveUp()
  }

  /** Another sender: whatever comes next is in order. */
  restart(): void {
    this.#held.fill(undefined)
    this.#heldCount = 0
    this.#expected = undefined
  }

  #deliver(packet: Buffer, sequenceNumber: number, arrivalMs: number): void {
    this.#expected = (sequenceNumber + 1) & 0xffff
    this.#sink.deliver(packet, arrivalMs)
  }

  #hold(packet: Buffer, sequenceNumber: number, arrivalMs: number): void {
    const slot = sequenceNumber % reorderCapacity
    if (this.#held[slot]) return this.#sink.late()
    this.#held[slot] = { packet, arrivalMs }
    if (this.#heldCount === 0) this.#heldSinceMs = arrivalMs
    this.#heldCount += 1
  }

  /** Delivers what is held without a gap from here on. */
  #releaseNext(): void {
    for (;;) {
      const sequenceNumber = this.#expected ?? 0
      const slot = sequenceNumber % reorderCapacity
      const next = this.#held[slot]
      if (!next) break
      this.#held[slot] = undefined
      this.#heldCount -= 1
      this.#deliver(next.packet, sequenceNumber, next.arrivalMs)
    }
    this.#heldSinceMs = this.#firstHeld()?.arrivalMs ?? 0
  }

  /** Stops waiting for what is missing before the first held packet. */
  #giveUp(): void {
    const first = this.#firstHeld()
    if (!first) return
    this.#sink.missing(first.ahead)
    this.#expected = first.sequenceNumber
    this.#releaseNext()
  }

  #skipTo(packet: Buffer, sequenceNumber: number, arrivalMs: number): void {
    while (this.#heldCount > 0) this.#giveUp()
    const ahead = sequenceDelta(this.#expected ?? sequenceNumber, sequenceNumber)
    this.#sink.missing(ahead < maxDropout ? ahead : 0)
    this.#deliver(packet, sequenceNumber, arrivalMs)
  }

  #firstHeld(): { ahead: number; sequenceNumber: number; arrivalMs: number } | undefined {
    if (this.#heldCount === 0) return undefined
    for (let ahead = 0; ahead < reorderCapacity; ahead++) {
      const sequenceNumber = ((this.#expected ?? 0) + ahead) & 0xffff
      const held = this.#held[sequenceNumber % reorderCapacity]
      if (held) return { ahead, sequenceNumber, arrivalMs: held.arrivalMs }
    }
    return undefined
  }
}
