import type { FileRange, Part, PartInfo, Segment, SegmentInfo } from './cmaf.ts'

/** A part whose memory was let go. */
export type StoredPart = PartInfo & { readonly range: FileRange }
/** A complete segment whose memory was let go: its bytes are in recorded files. */
type StoredSegment = Omit<SegmentInfo, 'parts'> & { readonly parts: readonly StoredPart[] }
/** In memory, or in recorded files. */
export type WindowSegment = Segment | StoredSegment

/** The segment without its memory, or as it is when not all of it is recorded. */
export function withoutMemory(segment: WindowSegment): WindowSegment {
  const parts = segment.parts.map(findStored)
  const stored = parts.filter((part) => part !== undefined)
  if (!segment.isComplete || stored.length < parts.length) return segment
  const { sequence, init, isDiscontinuity, ntpMs, startMs, durationMs, isComplete } = segment
  return { sequence, init, isDiscontinuity, ntpMs, startMs, durationMs, isComplete, parts: stored }
}

function findStored(part: Part | StoredPart): StoredPart | undefined {
  if ('range' in part) return part
  const { chunks: _memory, stored, ...info } = part
  return stored.range && { ...info, range: stored.range }
}
