import type { Clock } from '#lib/clock.ts'

/** What happened, as its producer says it: a type with dots (`stream.online`), what it is about, and details. */
export type EventInput = {
  readonly type: string
  readonly subject: string
  readonly data: Readonly<Record<string, unknown>>
}

/** An event with its place in the history. `sequence` grows by one an event; `at` is ISO 8601, UTC, milliseconds. */
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

/** An ordered record of what happened. The memory-only history below and the durable log both are one. */
export interface EventLog {
  append(event: EventInput): EventRecord
  /** Up to `limit` records from sequence `from` on; 0 is the oldest kept. */
  read(options: { from: number; limit: number }): Promise<EventPage>
  /**
   * Everything from `from` on (absent: from now), then each event as it happens, until the signal fires. Records that were discarded before
   * the follower took them are announced by one `history.truncated` record in their place.
   */
  follow(options: { from?: number; signal: AbortSignal }): AsyncIterable<EventRecord>
}

/** The type of the record that stands for lost ones. Its `sequence` is the last lost one, so that resuming after it is right. */
export const truncatedType = 'history.truncated'

/** Records handed to a follower per look at the history. */
const followBatch = 256

/** Bytes a record takes besides its JSON text. Measured: 10 000 records of 158 characters take 2.4 MB of heap. */
const recordOverheadBytes = 90

/**
 * The last events, in memory, bounded by count and by bytes: when full, the oldest goes. Followers share it and only keep their place, so
 * a slow one costs nothing; it is told what it lost. Sequences start at the wall clock's milliseconds: those of an earlier process are
 * lower, so a client that comes back after a restart is told that its history is gone instead of being given other events.
 */
export class EventHistory implements EventLog {
  readonly #clock: Clock
  readonly #maxCount: number
  readonly #maxBytes: number
  readonly #followers = new Set<() => void>()
  /** Kept records, and before them up to as many discarded ones (`undefined`): discarding by `shift` would move all others. */
  #slots: ({ record: EventRecord; bytes: number } | undefined)[] = []
  #discarded = 0
  #bytes = 0
  #nextSequence: number

  constructor({ clock, maxCount = 10_000, maxBytes = 8_000_000 }: { clock: Clock; maxCount?: number; maxBytes?: number }) {
    this.#clock = clock
    this.#maxCount = maxCount
    this.#maxBytes = maxBytes
    this.#nextSequence = Math.max(1, Math.floor(clock.nowMs()))
  }

  get nextSequence(): number {
    return this.#nextSequence
  }
  get oldestSequence(): number {
    return this.#nextSequence - this.#count
  }
  /** Bytes of all kept records, about. */
  get sizeBytes(): number {
    return this.#bytes
  }

  append({ type, subject, data }: EventInput): EventRecord {
    const at = new Date(this.#clock.nowMs()).toISOString()
    const record = { sequence: this.#nextSequence, at, type, subject, data }
    const bytes = JSON.stringify(record).length + recordOverheadBytes
    this.#slots.push({ record, bytes })
    this.#nextSequence += 1
    this.#bytes += bytes
    while (this.#count > this.#maxCount || (this.#bytes > this.#maxBytes && this.#count > 1)) this.#discardOldest()
    for (const wake of this.#followers) wake()
    return record
  }

  read({ from, limit }: { from: number; limit: number }): Promise<EventPage> {
    return Promise.resolve(this.#page(from, limit))
  }

  async *follow({ from, signal }: { from?: number; signal: AbortSignal }): AsyncGenerator<EventRecord, void, undefined> {
    let wake = (): void => undefined
    const onWake = (): void => {
      wake()
    }
    this.#followers.add(onWake)
    signal.addEventListener('abort', onWake)
    try {
      let next = from ?? this.#nextSequence
      while (!signal.aborted) {
        const page = this.#page(next, followBatch)
        if (page.isTruncated) yield this.#truncated(next)
        yield* page.items
        next = page.next
        await new Promise<void>((resolve) => {
          wake = resolve
          if (this.#nextSequence > next || signal.aborted) resolve()
        })
      }
    } finally {
      this.#followers.delete(onWake)
      signal.removeEventListener('abort', onWake)
    }
  }

  get #count(): number {
    return this.#slots.length - this.#discarded
  }

  #page(from: number, limit: number): EventPage {
    const { oldestSequence, nextSequence } = this
    const isTruncated = from !== 0 && (from < oldestSequence || from > nextSequence)
    const start = isTruncated || from === 0 ? oldestSequence : from
    const index = start - oldestSequence + this.#discarded
    const items = this.#slots.slice(index, index + limit).flatMap((slot) => (slot ? [slot.record] : []))
    return { items, next: start + items.length, oldestSequence, nextSequence, isTruncated }
  }

  #truncated(from: number): EventRecord {
    const oldestSequence = this.oldestSequence
    return {
      sequence: oldestSequence - 1,
      at: new Date(this.#clock.nowMs()).toISOString(),
      type: truncatedType,
      subject: 'events',
      data: { from, oldestSequence },
    }
  }

  #discardOldest(): void {
    this.#bytes -= this.#slots[this.#discarded]?.bytes ?? 0
    this.#slots[this.#discarded] = undefined
    this.#discarded += 1
    if (this.#discarded * 2 <= this.#slots.length) return
    this.#slots = this.#slots.slice(this.#discarded)
    this.#discarded = 0
  }
}
