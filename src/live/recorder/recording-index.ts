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

export type StreamUsage = { readonly stream: string; readonly sizeBytes: number; readonly segmentCount: number }

/** Where recorder, healing, retention and playback look up files. Errors: `DATABASE_UNAVAILABLE` and other faults of the database. */
export interface RecordingIndex {
  /** Inserts or replaces by id, all or none. */
  save(segments: readonly RecordingSegment[]): Promise<void>
  /** Unknown ids are no error. */
  remove(ids: readonly string[]): Promise<void>
  find(id: string): Promise<RecordingSegment | undefined>
  /** Which of these ids have a row. */
  findKnownIds(ids: readonly string[]): Promise<Set<string>>
  /** All rows in the order of their ids, a page at a time. */
  page(options: { afterId: string; limit: number }): Promise<RecordingSegment[]>
  /** In the order of start, then id. */
  list(query: SegmentQuery): Promise<RecordingSegment[]>
  usage(): Promise<StreamUsage[]>
  /** Closed segments, oldest first. */
  oldestClosed(query: { stream?: string; endedBeforeMs?: number; limit: number }): Promise<RecordingSegment[]>
}
