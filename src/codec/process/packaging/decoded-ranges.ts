import type { StitchedTrack } from './stitched-track.ts'

/** Samples `first` to `end`, not included, in coding order. */
export type SampleRange = { readonly first: number; readonly end: number }

/** Of what begins with a keyframe, so many are decoded to see that it does: no encoder here puts more pictures out of order. */
const beginFrames = 8

/**
 * What is decoded to verify a track: the pictures that groups begin with, of the first group, of those on both sides of each joint of chunks, and of the last.
 * (That all bytes are those that the encoder made is known by their digest.) Sound is cheap and decoded whole.
 */
export function decodedRanges({ order, joints }: Pick<StitchedTrack, 'order' | 'joints'>, sampleCount: number): SampleRange[] {
  if (order.kind === 'audio') return [{ first: 0, end: sampleCount }]
  const { gopFrames } = order
  const begin = Math.min(beginFrames, gopFrames)
  const lastGroup = Math.floor(Math.max(0, sampleCount - 1) / gopFrames) * gopFrames
  // The first group is behind a joint with nothing before it.
  const groups = new Set([...joints.flatMap((frame) => [frame - gopFrames, frame]), lastGroup])
  return [...groups].filter((first) => first >= 0).map((first) => ({ first, end: Math.min(sampleCount, first + begin) }))
}
