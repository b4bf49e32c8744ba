import type { Rational } from './transcoding.ts'

/** A source of 30.02 is taken for one of 30: cameras are not exact. */
const tolerance = 1.01

/**
 * Which frames of a source are taken so that there are at most so many a second: all (1), every second (2), every third, … That is the only way to a lower
 * rate that does not judder.
 */
export function rateDivisor({ num, den }: Rational, maxFrameRate: number): number {
  return Math.max(1, Math.ceil(num / den / (maxFrameRate * tolerance)))
}
