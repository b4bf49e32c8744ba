import { ticksToMs } from '#formats/media/access-unit.ts'

/** Wall time may be this far behind the estimate's own before it is begun anew. */
const maxBehindMs = 5_000

/**
 * Wall times of units by the server's clock: the first one's arrival, and from there on the media time that passed. A sender's own wall time
 * is not believed, as it would choose under which date its recordings are found. When an estimate lies in the future or too far in the past,
 * the unit at hand becomes the first one.
 */
export class NtpEstimator {
  readonly #clockRateHz: number
  #reference: { ms: number; ptsTicks: number } | undefined

  constructor(clockRateHz: number) {
    this.#clockRateHz = clockRateHz
  }

  estimateMs(ptsTicks: number, nowMs: number): number {
    if (this.#reference) {
      const ms = this.#reference.ms + ticksToMs(ptsTicks - this.#reference.ptsTicks, this.#clockRateHz)
      if (ms <= nowMs && ms >= nowMs - maxBehindMs) return ms
    }
    this.#reference = { ms: nowMs, ptsTicks }
    return nowMs
  }
}
