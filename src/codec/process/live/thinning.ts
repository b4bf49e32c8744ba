import { rateDivisor } from '#codec/divided-rate.ts'
import type { Rational } from '#codec/transcoding.ts'

/** Takes every n-th picture of a source, by times: a picture that the network lost does not shift the others, and times may tremble by half a picture. */
export class Thinning {
  /** Of what is taken. */
  readonly frameRate: Rational
  readonly #leastSeconds: number
  #lastSeconds = -Infinity

  /** Without `maxFrameRate` all are taken. */
  constructor(source: Rational, maxFrameRate = Infinity) {
    const divisor = rateDivisor(source, maxFrameRate)
    this.frameRate = { num: source.num, den: source.den * divisor }
    this.#leastSeconds = divisor === 1 ? 0 : ((divisor - 0.5) * source.den) / source.num
  }

  /** Whether the picture at this time is taken. Times only grow. */
  takes(seconds: number): boolean {
    if (seconds - this.#lastSeconds < this.#leastSeconds) return false
    this.#lastSeconds = seconds
    return true
  }
}
