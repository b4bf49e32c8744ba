import type { Rational } from '#codec/transcoding.ts'

export type FrameTimes = {
  /** Of an even source its own, of an uneven one the mean. */
  readonly frameRate: Rational
  readonly isVariableRate: boolean
  readonly longestGopMs: number
  readonly firstTicks: number
  readonly lastTicks: number
  /** Two pictures are so far apart that it is no pause: the source was cut together, or its clock was set. */
  readonly hasJump: boolean
}

/** What a track's packets tell of their times. */
export type TimedTrack = {
  readonly shownTicks: Float64Array
  readonly tickMs: number
  readonly endTicks: number
  readonly keyframes: readonly number[]
}

const standards: readonly Rational[] = [
  ...[24, 30, 48, 60, 120].map((fps) => ({ num: fps * 1000, den: 1001 })),
  ...[10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 100, 120].map((num) => ({ num, den: 1 })),
]
/** An even source may be off its grid by so much of a frame: containers round times to milliseconds. */
const tolerance = 0.3
const jumpMs = 60_000

/** Rate and evenness of a track with at least one packet. */
export function frameTimes({ shownTicks, tickMs, endTicks, keyframes }: TimedTrack): FrameTimes {
  const firstTicks = shownTicks[0] ?? 0
  const lastTicks = shownTicks.at(-1) ?? 0
  const spanMs = (lastTicks - firstTicks) * tickMs
  const meanPerSecond = spanMs > 0 ? ((shownTicks.length - 1) * 1000) / spanMs : 25
  const near = standards.filter(({ num, den }) => Math.abs(num / den / meanPerSecond - 1) < 0.01)
  const rated = [...near, roundedRate(meanPerSecond)].map((frameRate) => ({
    frameRate,
    off: offGrid(shownTicks, tickMs, frameRate),
  }))
  const best = rated.reduce((a, b) => (b.off < a.off - 0.01 ? b : a))
  const isVariableRate = best.off > tolerance
  return {
    frameRate: isVariableRate ? roundedRate(meanPerSecond) : best.frameRate,
    isVariableRate,
    longestGopMs: longestGap([...keyframes, endTicks]) * tickMs,
    firstTicks,
    lastTicks,
    hasJump: longestGap(shownTicks) * tickMs > jumpMs,
  }
}

/** How far, in frames, the farthest picture is from where an even rate has it. */
function offGrid(ticks: Float64Array, tickMs: number, { num, den }: Rational): number {
  const first = ticks[0] ?? 0
  let farthest = 0
  for (const [index, time] of ticks.entries()) {
    const frames = ((time - first) * tickMs * num) / (den * 1000)
    farthest = Math.max(farthest, Math.abs(frames - index))
  }
  return farthest
}

function roundedRate(perSecond: number): Rational {
  const num = Math.max(1, Math.round(perSecond * 1000))
  return num % 1000 === 0 ? { num: num / 1000, den: 1 } : { num, den: 1000 }
}

function longestGap(ticks: Iterable<number>): number {
  let longest = 0
  let before: number | undefined
  for (const time of ticks) {
    if (before !== undefined) longest = Math.max(longest, time - before)
    before = time
  }
  return longest
}
