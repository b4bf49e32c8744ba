import { AppError } from '#lib/errors.ts'
import { BoxWriter } from './box-writer.ts'

/** A segment as the index names it. */
export type IndexedSegment = { readonly sizeBytes: number; readonly durationTicks: number }

/** Bytes that an index of so many segments takes. */
export function segmentIndexBytes(segmentCount: number): number {
  return 8 + 4 + 4 + 4 + 8 + 8 + 2 + 2 + segmentCount * 12
}

/**
 * Segment index, ISO/IEC 14496-12 §8.16.3: segments that follow each other, each of which begins with a sync sample. The first
 * one begins `gapBytes` behind this box and is shown at `earliestTicks`. Throws `LIMIT_EXCEEDED` for more segments than it can
 * count.
 */
export function writeSegmentIndex({
  trackId,
  timescaleHz,
  earliestTicks,
  gapBytes,
  segments,
}: {
  trackId: number
  timescaleHz: number
  earliestTicks: number
  gapBytes: number
  segments: readonly IndexedSegment[]
}): Buffer {
  if (segments.length >= 2 ** 16) {
    throw new AppError('LIMIT_EXCEEDED', `${segments.length} segments in one index; choose longer ones`)
  }
  const w = new BoxWriter(segmentIndexBytes(segments.length))
  w.fullBox('sidx', 1, 0, () => {
    w.u32(trackId) // reference_ID
    w.u32(timescaleHz) // timescale
    w.u64(earliestTicks) // earliest_presentation_time
    w.u64(gapBytes) // first_offset
    w.u16(0) // reserved
    w.u16(segments.length) // reference_count
    for (const { sizeBytes, durationTicks } of segments) {
      w.u32(sizeBytes) // reference_type 0 (media), referenced_size
      w.u32(durationTicks) // subsegment_duration
      w.u32(0x9000_0000) // starts_with_SAP 1, SAP_type 1, SAP_delta_time 0
    }
  })
  return w.finish()
}
