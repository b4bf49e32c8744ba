/** What happened, as its producer says it: a type with dots (`stream.online`), what it is about, and details. */
export type EventInput = {
  readonly type: string
  readonly subject: string
  readonly data: Readonly<Record<string, unknown>>
}

/** An event with its place in the history. `sequence` grows with each event; `at` is ISO 8601, UTC, milliseconds. */
export type EventRecord = EventInput & { readonly sequence: number; readonly at: string }

/** Some records in order, and the bounds of what the history keeps. */
export type EventPage = {
  readonly items: readonly EventRecord[]
  /** Continue reading here. */
  readonly next: number
  /** The oldest record that is kept; equals `nextSequence` when nothing is. */
  readonly oldestSequence: number
  /** What the next event will have. */
  readonly nextSequence: number
  /** `from` is not in the history: too old, or never given out. The page starts at the oldest kept. */
  readonly isTruncated: boolean
}

/** An ordered record of what happened. */
export interface EventLog {
  /** Takes note of an event; it is in the history as soon as that has kept it. */
  append(event: EventInput): void
  /** Up to `limit` records from sequence `from` on; 0 is the oldest kept. */
  read(options: { from: number; limit: number }): Promise<EventPage>
  /**
   * Everything from `from` on (absent: from now), then each event as it happens, until the signal fires. Records that were deleted before
   * the follower took them are announced by one `history.truncated` record in their place.
   */
  follow(options: { from?: number; signal: AbortSignal }): AsyncIterable<EventRecord>
}

/** The type of the record that stands for lost ones. Its `sequence` is the last lost one, so that resuming after it is right. */
export const truncatedType = 'history.truncated'
