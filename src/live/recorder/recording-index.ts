/** One recorded file, as the index knows it. */
export type RecordingSegment = {
  readonly id: string
  readonly stream: string
  /** Files of one session share a timeline: their decode times continue each other where nothing is missing. */
  readonly sessionId: string
  /** Relative to the directory of recordings, with `/` between elements. */
  readonly path: string
  /** Wall time of the first sample. */
  readonly startedAtMs: number
  /** Absent while open. */
  readonly endedAtMs?: number
  /** As of the last update while open. */
  readonly durationMs: number
  readonly sizeBytes: number
  readonly state: 'open' | 'closed'
  /** `ftyp` + `moov` at the start of the file. */
  readonly initSizeBytes: number
  /** Does not continue the file before it: frames are missing, or the source changed. */
  readonly isDiscontinuity: boolean
  /** The file is in the directory of recordings; else the archive alone has it. */
  readonly isOnDisk: boolean
  /** When the whole file was in the archive; absent: it is not there. */
  readonly archivedAtMs?: number
}

export type SegmentQuery = {
  readonly stream?: string
  /** Segments that end after this; open ones always do. */
  readonly fromMs?: number
  /** Segments that start before this. */
  readonly toMs?: number
  /** Only what comes behind this place in the order. */
  readonly after?: SegmentPlace
  readonly limit: number
}

/** A place in the order by start, then id. */
export type SegmentPlace = { readonly startedAtMs: number; readonly id: string }

/** What a stream has on the disk. */
export type StreamUsage = {
  readonly stream: string
  readonly sizeBytes: number
  readonly segmentCount: number
  /** Closed and not in the archive. */
  readonly unarchivedCount: number
  /** When the first of them ended. */
  readonly unarchivedSinceMs?: number
}

export type OldestQuery = {
  readonly stream?: string
  readonly endedBeforeMs?: number
  /** Those that are not in the archive only when they ended before this: 0 leaves them all out. */
  readonly unarchivedBeforeMs?: number
  readonly limit: number
}

/** Closed segments of these streams that are not in the archive. */
export type UnarchivedQuery = { readonly streams: readonly string[]; readonly endedAfterMs?: number; readonly limit: number }

/** Where recorder, healing, retention and playback look up files. Errors: `DATABASE_UNAVAILABLE` and other faults of the database. */
export interface RecordingIndex {
  /** Inserts or replaces by id, all or none. Where a segment that is known is kept, on the disk or in the archive, stays as it is. */
  save(segments: readonly RecordingSegment[]): Promise<void>
  /** Unknown ids are no error. */
  remove(ids: readonly string[]): Promise<void>
  find(id: string): Promise<RecordingSegment | undefined>
  /** Which of these ids have a row. */
  findKnownIds(ids: readonly string[]): Promise<Set<string>>
  /** All that is on the disk in the order of start, then id, a page at a time. */
  pageOfDisk(options: { after?: SegmentPlace; limit: number }): Promise<RecordingSegment[]>
  /** In the order of start, then id. */
  list(query: SegmentQuery): Promise<RecordingSegment[]>
  usage(): Promise<StreamUsage[]>
  /** Closed segments on the disk, oldest first. */
  oldestClosed(query: OldestQuery): Promise<RecordingSegment[]>
  /** What is to be archived, oldest first. */
  unarchived(query: UnarchivedQuery): Promise<RecordingSegment[]>
  /** Archived segments that ended before a moment, oldest first. */
  oldestArchived(query: { stream: string; endedBeforeMs: number; limit: number }): Promise<RecordingSegment[]>
  /** Says that the archive has the whole file. False: the row is gone, somebody deleted the segment meanwhile. */
  markArchived(id: string, archivedAtMs: number): Promise<boolean>
  /** Says that the file is deleted. True: the archive has the segment; false: nobody has, and its row is gone. */
  forgetFile(id: string): Promise<boolean>
  /** Says that the archive's copy is deleted. True: the disk has the segment; false: nobody has, and its row is gone. */
  forgetArchived(id: string): Promise<boolean>
}
