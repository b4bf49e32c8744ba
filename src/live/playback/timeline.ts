import { AppError } from '#lib/errors.ts'
import { endOf, type PlaybackIndex, type PlaybackRange, segmentsIn } from './recorded-range.ts'

/** A stretch of recorded files without a gap. */
export type PlaybackStretch = {
  readonly startedAtMs: number
  readonly endedAtMs: number
  readonly sizeBytes: number
  readonly segmentCount: number
  /** The end of its last file that is in the archive alone; absent: all of it is on the disk. */
  readonly archivedUntilMs?: number
}

/** The wall clock of frames jitters, and the rows of open files are updated now and then: less than this is no gap. */
const gapToleranceMs = 2000
const maxStretches = 10_000

/**
 * When a stream was recorded, from the index alone. Files count whole, also where they reach beyond the range.
 * Throws `LIMIT_EXCEEDED` when there are too many gaps to tell.
 */
export async function recordedStretches(index: Pick<PlaybackIndex, 'list'>, range: PlaybackRange): Promise<PlaybackStretch[]> {
  const stretches: PlaybackStretch[] = []
  for await (const segment of segmentsIn(index, range)) {
    const last = stretches.at(-1)
    const { startedAtMs, sizeBytes } = segment
    const endedAtMs = endOf(segment)
    const archived = segment.isOnDisk ? {} : { archivedUntilMs: endedAtMs }
    if (last && startedAtMs - last.endedAtMs <= gapToleranceMs) {
      stretches[stretches.length - 1] = {
        ...last,
        ...archived,
        endedAtMs: Math.max(last.endedAtMs, endedAtMs),
        sizeBytes: last.sizeBytes + sizeBytes,
        segmentCount: last.segmentCount + 1,
      }
    } else if (stretches.length === maxStretches) {
      throw new AppError(
        'LIMIT_EXCEEDED',
        `more than ${maxStretches} stretches of "${range.stream}" in this range; ask for a shorter one`,
      )
    } else stretches.push({ startedAtMs, endedAtMs, sizeBytes, segmentCount: 1, ...archived })
  }
  return stretches
}
