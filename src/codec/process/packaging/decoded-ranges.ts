import type { StitchedTrack } from './stitched-track.ts'

/** Samples `first` to `end`, not included, in coding order. */
export type SampleRange = { readonly first: number; readonly end: number }

/** Of what begins with a keyframe, so many are decoded to see that it does: no codec holds back more pictures to put them in order. */
const beginFrames = 16

/**
 * What is decoded to verify a track: its first pictures, those that its last group begins with, and at each joint of chunks the group before and the first
 * pictures behind. (That all bytes are those that the encoder made is known by their digest.) Sound is cheap and decoded whole. Runs that touch are one, so
 * that the decoder goes over a joint as in a player.
 */
export function decodedRanges({ order, joints }: Pick<StitchedTrack, 'order' | 'joints'>, sampleCount: number): SampleRange[] {
  if (order.kind === 'audio') return [{ first: 0, end: sampleCount }]
  const { gopFrames } = order
  const begin = Math.min(beginFrames, gopFrames)
  const lastGroup = Math.floor(Math.max(0, sampleCount - 1) / gopFrames) * gopFrames
  const ranges = [
    // The first is the joint with nothing before it.
    ...joints.map((frame) => ({ first: frame - gopFrames, end: frame + begin })),
    { first: lastGroup, end: lastGroup + begin },
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
