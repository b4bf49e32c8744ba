/** How far pictures may be reordered at most: the decoded picture buffer has 16 frames, ITU-T H.264 §A.3.1 and H.265 §A.4.2. */
const maxReorderDepth = 16

/** Used for the first pictures of a stream that does not say its frame rate. */
const assumedFramesPerSecond = 25

/** A picture this far after the one before, or before a decode time given out, is on another timeline and not reordered. */
const jumpForwardSeconds = 10
const jumpBackSeconds = 1

/**
 * Decode times from presentation times, for streams that carry only the latter (RTP).
 *
 * With a reorder depth of R, at most R pictures come before another in decode order and after it in output order. So when the
 * n-th picture arrives, the (n-R)-th presentation time in output order is known, is not after the picture's own, and grows with n: it is
 * the decode time. The spacing is the pictures' own, also with a variable frame rate, and lost pictures do no harm. Only the first R
 * decode times are extrapolated, with the frame duration.
 *
 * The depth comes from the parameter sets; when they do not tell or are wrong, `raiseDepth` and the timeline itself learn it, and the
 * times are squeezed until they fit. It never shrinks, since a wrong "no B-frames" costs more than a few milliseconds of offset.
 */
export class DtsTimeline {
  readonly #clockRateHz: number
  #frameTicks: number
  #depth = 0
  /** The latest presentation times, ascending, at most `#depth + 1`. */
  readonly #recent: number[] = []
  #lastPts: number | undefined
  #lastDts = 0

  constructor(clockRateHz: number) {
    this.#clockRateHz = clockRateHz
    this.#frameTicks = Math.round(clockRateHz / assumedFramesPerSecond)
  }

  configure({ depth, framesPerSecond }: { depth: number; framesPerSecond: number | undefined }): void {
    this.raiseDepth(depth)
    if (framesPerSecond) this.#frameTicks = Math.max(1, Math.round(this.#clockRateHz / framesPerSecond))
  }

  raiseDepth(depth: number): void {
    this.#depth = Math.min(Math.max(this.#depth, depth), maxReorderDepth)
  }

  /**
   * The decode time of the next picture in decode order. Grows strictly and is not after `ptsTicks`, with two exceptions: it follows a
   * timestamp that jumps back by more than a second, and a picture that is presented before one already decoded, deeper than any known
   * reordering, gets the last decode time plus one, so that its `ptsTicks` has to be raised to it.
   */
  next(ptsTicks: number): number {
    const isAnchor = this.#isAnchor(ptsTicks)
    if (isAnchor) this.#recent.length = 0
    else if (ptsTicks <= this.#lastDts) this.raiseDepth(this.#depth + 1)
    this.#lastPts = ptsTicks
    const candidate = this.#outputTime(ptsTicks)
    this.#lastDts = isAnchor ? candidate : Math.max(candidate, this.#lastDts + 1)
    return this.#lastDts
  }

  /** Nothing before this picture says anything about its decode time. */
  #isAnchor(ptsTicks: number): boolean {
    if (this.#lastPts === undefined) return true
    if (ptsTicks < this.#lastDts - jumpBackSeconds * this.#clockRateHz) return true
    return ptsTicks > this.#lastPts + jumpForwardSeconds * this.#clockRateHz
  }

  #outputTime(ptsTicks: number): number {
    const recent = this.#recent
    let at = recent.length
    while (at > 0 && (recent[at - 1] ?? 0) > ptsTicks) at -= 1
    recent.splice(at, 0, ptsTicks)
    if (recent.length > this.#depth + 1) recent.shift()
    const missing = this.#depth + 1 - recent.length
    return (recent[0] ?? ptsTicks) - missing * this.#frameTicks
  }
}
