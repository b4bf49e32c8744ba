import type { Rational } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'

/** Where all tracks are cut: at k × `step` seconds. Exact, so that frames are counted and not rounded. */
export type Cuts = { readonly step: Rational; readonly segmentCount: number }

/**
 * Segments for a work of `duration` seconds: as many whole groups of pictures as come nearest to `segmentMs`. `gops` are the
 * lengths of the groups of all renditions in seconds; where they differ, cuts fall where all of them begin one. Throws
 * `UNSUPPORTED` when that is hardly ever.
 */
export function planCuts({
  duration,
  segmentMs,
  gops,
}: {
  duration: Rational
  segmentMs: number
  gops: readonly Rational[]
}): Cuts {
  const target: Rational = { num: segmentMs, den: 1000 }
  const period = gops.reduce<Rational | undefined>(
    (common, gop) => (common ? commonMultiple(common, gop) : reduced(gop)),
    undefined,
  )
  const step = period ? times(period, Math.max(1, Math.round(quotient(target, period)))) : reduced(target)
  const longestSeconds = Math.max(secondsOf(target), ...gops.map(secondsOf))
  if (secondsOf(step) > 4 * longestSeconds) {
    throw new AppError(
      'UNSUPPORTED',
      `renditions have keyframes together only every ${secondsOf(step).toFixed(1)} s; give them frame rates and GOP lengths that fit`,
    )
  }
  return { step, segmentCount: Math.max(1, Math.ceil(quotient(duration, step) - 1e-9)) }
}

/** Start of segment `index` in ticks of `timeBase`, not rounded. */
export function cutTicks({ step }: Cuts, index: number, timeBase: Rational): number {
  return (index * step.num * timeBase.den) / (step.den * timeBase.num)
}

export function secondsOf({ num, den }: Rational): number {
  return num / den
}

/** `value` × `factor`; the factor is a whole number. */
export function times({ num, den }: Rational, factor: number): Rational {
  return reduced({ num: num * factor, den })
}

function quotient(a: Rational, b: Rational): number {
  return (a.num * b.den) / (a.den * b.num)
}

/** The shortest time that is a whole multiple of both. */
function commonMultiple(a: Rational, b: Rational): Rational {
  const x = a.num * b.den
  const y = b.num * a.den
  return reduced({ num: (x / greatestCommonDivisor(x, y)) * y, den: a.den * b.den })
}

function reduced({ num, den }: Rational): Rational {
  const divisor = greatestCommonDivisor(num, den)
  return { num: num / divisor, den: den / divisor }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
