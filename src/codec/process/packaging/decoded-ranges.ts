import { cutTicks, type Cuts } from './cuts.ts'
import type { StitchedTrack } from './stitched-track.ts'

/** Samples `first` to `end`, not included, in coding order. */
export type SampleRange = { readonly first: number; readonly end: number }

/**
 * What is decoded to verify a track: its first and last segment, and the groups of pictures on both sides of each joint of
 * chunks. Sound is cheap and decoded whole. Runs that touch are one, so that the decoder goes over a joint as in a player.
 */
export function decodedRanges(
  { order, timeBase, joints }: StitchedTrack,
  { sampleCount, cuts }: { sampleCount: number; cuts: Cuts },
): SampleRange[] {
  if (order.kind === 'audio') return [{ first: 0, end: sampleCount }]
  const cutAt = (index: number) => Math.round(cutTicks(cuts, index, timeBase))
  const ranges = [
    { first: 0, end: cutAt(1) },
    ...joints.map((frame) => ({ first: frame - order.gopFrames, end: frame + order.gopFrames })),
    { first: cutAt(cuts.segmentCount - 1), end: sampleCount },
  ]
  return joined(ranges.map(({ first, end }) => ({ first: Math.max(0, first), end: Math.min(sampleCount, end) })))
}

function joined(ranges: readonly SampleRange[]): SampleRange[] {
  const whole: SampleRange[] = []
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const last = whole.at(-1)
    if (last && range.first <= last.end) whole[whole.length - 1] = { first: last.first, end: Math.max(last.end, range.end) }
    else whole.push(range)
  }
  return whole
}
