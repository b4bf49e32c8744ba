/** How many frames a second the output has. */
import { rateDivisor } from '#codec/divided-rate.ts'
import type { Rational, SourceVideo } from '#codec/transcoding.ts'

/** Rates that a source without a steady one is brought to. */
const standardRates: readonly Rational[] = [
  { num: 5, den: 1 },
  { num: 10, den: 1 },
  { num: 12, den: 1 },
  { num: 15, den: 1 },
  { num: 20, den: 1 },
  { num: 24_000, den: 1001 },
  { num: 24, den: 1 },
  { num: 25, den: 1 },
  { num: 30_000, den: 1001 },
  { num: 30, den: 1 },
  { num: 48, den: 1 },
  { num: 50, den: 1 },
  { num: 60_000, den: 1001 },
  { num: 60, den: 1 },
  { num: 100, den: 1 },
  { num: 120, den: 1 },
]

/** Above this nothing plays. */
const highestRate = 240

export function framesPerSecond({ num, den }: Rational): number {
  return num / den
}

/** The rate of the source, or the standard rate nearest to it where it is not steady; above `maxFrameRate` it is divided. */
export function outputFrameRate(video: Pick<SourceVideo, 'frameRate' | 'isVariableRate'>, maxFrameRate = highestRate): Rational {
  const rate = video.isVariableRate ? nearestStandardRate(video.frameRate) : video.frameRate
  const divisor = rateDivisor(rate, Math.min(maxFrameRate, highestRate))
  return reduce({ num: rate.num, den: rate.den * divisor })
}

function nearestStandardRate(rate: Rational): Rational {
  const distance = (standard: Rational): number => Math.abs(Math.log(framesPerSecond(standard) / framesPerSecond(rate)))
  return standardRates.reduce((best, standard) => (distance(standard) <= distance(best) ? standard : best))
}

function reduce({ num, den }: Rational): Rational {
  const divisor = greatestDivisor(num, den)
  return { num: num / divisor, den: den / divisor }
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}
