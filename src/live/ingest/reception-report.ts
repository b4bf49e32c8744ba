import { sequenceDelta, timestampDelta } from '#formats/rtp/serial.ts'
import type { ReportBlock } from '#formats/rtcp/rtcp-packet.ts'

/** A step of the sequence number above this is a restart of the sender, RFC 3550 §A.1. */
export const maxDropout = 3000
/** Packets this far behind the highest one are late, not a restart; RFC 3550 §A.1 has 100. */
export const maxMisorder = 256

/** What a receiver tells the sender about a track, RFC 3550 §6.4 and §A.3, §A.8. */
export class ReceptionReport {
  readonly #clockRateHz: number
  #isStarted = false
  #firstSequence = 0
  #highestSequence = 0
  #wraps = 0
  #received = 0
  #expectedBefore = 0
  #receivedBefore = 0
  #jitterTicks = 0
  #lastTimestamp = 0
  #lastArrivalMs = 0
  #senderReport: { ntpMiddle: number; arrivalMs: number } | undefined

  constructor(clockRateHz: number) {
    this.#clockRateHz = clockRateHz
  }

  /** Counts a packet, in the order of arrival. */
  receive(sequenceNumber: number, timestamp: number, arrivalMs: number): void {
    const ahead = sequenceDelta(this.#highestSequence, sequenceNumber)
    if (!this.#isStarted || (ahead >= maxDropout && ahead <= 0x10000 - maxMisorder)) {
      this.#begin(sequenceNumber)
    } else if (ahead < maxDropout) {
      if (sequenceNumber < this.#highestSequence) this.#wraps += 1
      this.#highestSequence = sequenceNumber
      const elapsedTicks = ((arrivalMs - this.#lastArrivalMs) * this.#clockRateHz) / 1000
      const difference = Math.abs(elapsedTicks - timestampDelta(this.#lastTimestamp, timestamp))
      this.#jitterTicks += (difference - this.#jitterTicks) / 16
    }
    this.#received += 1
    this.#lastTimestamp = timestamp
    this.#lastArrivalMs = arrivalMs
  }

  senderReport(ntpMiddle: number, arrivalMs: number): void {
    this.#senderReport = { ntpMiddle, arrivalMs }
  }

  /** Another sender: the next packet is its first. */
  restart(): void {
    this.#isStarted = false
    this.#jitterTicks = 0
    this.#senderReport = undefined
  }

  /** The block for the next report; counts anew what `fractionLost` is about. `undefined` before the first packet. */
  take(ssrc: number, nowMs: number): ReportBlock | undefined {
    if (!this.#isStarted) return undefined
    const highestSequence = this.#wraps * 0x10000 + this.#highestSequence
    const expected = highestSequence - this.#firstSequence + 1
    const expectedSince = expected - this.#expectedBefore
    const lostSince = expectedSince - (this.#received - this.#receivedBefore)
    this.#expectedBefore = expected
    this.#receivedBefore = this.#received
    const delayMs = this.#senderReport ? nowMs - this.#senderReport.arrivalMs : 0
    return {
      ssrc,
      fractionLost: lostSince > 0 ? Math.min(255, Math.floor((lostSince * 256) / expectedSince)) : 0,
      cumulativeLost: expected - this.#received,
      highestSequence: highestSequence % 2 ** 32,
      jitterTicks: Math.min(Math.floor(this.#jitterTicks), 2 ** 32 - 1),
      lastSenderReport: this.#senderReport?.ntpMiddle ?? 0,
      delaySinceLastSenderReport: Math.min(Math.round((delayMs * 65_536) / 1000), 2 ** 32 - 1),
    }
  }

  #begin(sequenceNumber: number): void {
    this.#isStarted = true
    this.#firstSequence = sequenceNumber
    this.#highestSequence = sequenceNumber
    this.#wraps = 0
    this.#received = 0
    this.#expectedBefore = 0
    this.#receivedBefore = 0
  }
}
