/** A part of whole frames keeps within 85 % and 100 % of the target when the frames' times are up to 8 % off their rate. */
const headroom = 1.08
/** RFC 8216bis §4.4.4.9: parts other than the last of a segment are at least this share of the target. iPhones insist. */
const shortestShare = 0.85
/** However slow the first frames come, the target is no longer than this: 0.5 frames per second still fit. */
const widestMs = 2200

/**
 * When parts are cut. The target (`PART-TARGET`, RFC 8216bis §4.4.3.7) is 8 % above the configured duration, so that cameras whose
 * timestamps jitter keep to it. Only when whole frames cannot fill 85 % of it (12.5 fps: 80 ms) is it widened, and only before the
 * first part was cut: players that saw one target stop for good when they see another.
 */
export class PartTarget {
  #targetMs: number
  #isFixed = false

  constructor({ partMilliseconds }: { partMilliseconds: number }) {
    this.#targetMs = Math.ceil(partMilliseconds * headroom)
  }

  get ms(): number {
    return this.#targetMs
  }

  /** From here on the target stays as it is. */
  fix(): void {
    this.#isFixed = true
  }

  /** A part of this duration need not grow further. */
  isReached(collectedMs: number): boolean {
    return collectedMs >= this.#targetMs * shortestShare
  }

  /** Whether a part of `collectedMs` has no room for a frame of `nextMs`. */
  isFull(collectedMs: number, nextMs: number): boolean {
    if (!this.#isFixed) this.#widen(collectedMs, nextMs)
    return collectedMs + nextMs > this.#targetMs
  }

  #widen(collectedMs: number, nextMs: number): void {
    const isShort = collectedMs + nextMs > this.#targetMs && !this.isReached(collectedMs)
    const neededMs = isShort ? collectedMs + nextMs : collectedMs
    if (neededMs > this.#targetMs && neededMs * headroom <= widestMs) this.#targetMs = Math.ceil(neededMs * headroom)
  }
}
