import type { TimelineRange } from './api.ts'

/** The stretch of time that the timeline shows. */
export type TimeWindow = { readonly fromMs: number; readonly toMs: number }

const minuteMs = 60_000
const tickStepsMs = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].map((minutes) => minutes * minuteMs)
/** Touching near the end of what is recorded plays at least this much of it. */
const leastMs = 3000

/** Where a moment is in the window: 0 at its start, 1 at its end, and never beyond. */
export function shareOf({ fromMs, toMs }: TimeWindow, atMs: number): number {
  return Math.min(1, Math.max(0, (atMs - fromMs) / (toMs - fromMs)))
}

/** The moment at a share of the window. */
export function momentAt({ fromMs, toMs }: TimeWindow, share: number): number {
  return fromMs + Math.min(1, Math.max(0, share)) * (toMs - fromMs)
}

/**
 * Round times to write under the window, at most `maxCount`. `zoneOffsetMs` is what local time is ahead of UTC, so that hours and days are
 * the viewer's.
 */
export function ticksOf(
  { fromMs, toMs }: TimeWindow,
  { maxCount, zoneOffsetMs }: { maxCount: number; zoneOffsetMs: number },
): number[] {
  const stepMs = tickStepsMs.find((step) => (toMs - fromMs) / step <= maxCount) ?? toMs - fromMs
  const firstMs = Math.ceil((fromMs + zoneOffsetMs) / stepMs) * stepMs - zoneOffsetMs
  const count = Math.max(0, Math.floor((toMs - firstMs) / stepMs) + 1)
  return Array.from({ length: count }, (_, index) => firstMs + index * stepMs)
}

/** The recorded moment nearest to the one wanted: itself, else the start of the next range, else the end of the last. */
export function playableMoment(ranges: readonly TimelineRange[], wantedMs: number): number | undefined {
  const next = ranges.find(({ endedAt }) => Date.parse(endedAt) - leastMs > wantedMs)
  if (next) return Math.max(wantedMs, Date.parse(next.startedAt))
  const last = ranges.at(-1)
  return last && Math.max(Date.parse(last.startedAt), Date.parse(last.endedAt) - leastMs)
}
