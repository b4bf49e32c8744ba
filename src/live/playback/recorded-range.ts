import type { RecordingIndex, RecordingSegment, SegmentPlace } from '../recorder/recording-index.ts'

/** A stretch of time of one stream, `toMs` not included; wall time, milliseconds since the Unix epoch. Absent: no bound. */
export type PlaybackRange = { readonly stream: string; readonly fromMs?: number; readonly toMs?: number }

/** What playback needs of the index of recordings. */
export type PlaybackIndex = Pick<RecordingIndex, 'list' | 'find'>

const segmentsPerPage = 500

/** All segments that overlap the range, oldest first, a page in memory at a time. */
export async function* segmentsIn(index: Pick<PlaybackIndex, 'list'>, range: PlaybackRange): AsyncGenerator<RecordingSegment> {
  for (let after: SegmentPlace | undefined; ;) {
    const page = await index.list({ ...range, ...(after ? { after } : {}), limit: segmentsPerPage })
    yield* page
    if (page.length < segmentsPerPage) return
    after = page.at(-1)
  }
}

/** Where a segment ends as far as the index knows. */
export function endOf({ startedAtMs, endedAtMs, durationMs }: RecordingSegment): number {
  return endedAtMs ?? startedAtMs + durationMs
}
