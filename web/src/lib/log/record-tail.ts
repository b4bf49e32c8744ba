import { ApiError } from '../api.ts'
import { count, messageOf } from '../format.ts'
import type { RecordPage, RecordsQuery } from './log-api.ts'
import { isFiltering, matcherOf, type RecordFilter } from './record-filter.ts'
import { mergeByTime, type TailRecord, tailRecord } from './tail-record.ts'

/** Where reading begins. */
export type TailStart =
  | { readonly kind: 'newest' | 'earliest' }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'time'; readonly atMs: number }
export type TailPlace = { readonly start: TailStart; readonly partition: number | undefined }

/**
 *   loading ─► reading ─► following      reading: on the way to the end; following: at the end, waits for more
 *                 ▲ ▼
 *                full                    as many as are kept, and there are more
 *
 * Each of them may become `failed`, which ends when it is opened anew.
 */
export type TailPhase = 'loading' | 'reading' | 'following' | 'full' | 'failed'

export type TailView = {
  readonly phase: TailPhase
  /** In the order in which they came, filtered. */
  readonly rows: readonly TailRecord[]
  /** Why nothing comes; it is tried again unless the phase is `failed`. */
  readonly problem: string
  /** What the reader should know of what is missing. */
  readonly note: string
  /** Records read so far, shown or not. */
  readonly readCount: number
  /** Records between here and the end. */
  readonly behindCount: number
}

type Deps = {
  readonly load: (query: RecordsQuery, signal: AbortSignal) => Promise<RecordPage>
  /** Resolves after the time, or when the signal fires. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  readonly onChange: (view: TailView) => void
}

/** Records kept, and their characters. */
const maxRows = 500
const maxWeight = 16 * 1024 * 1024
const pageRecords = 250
const newestRecords = 50
/** Newest records are looked up partition by partition, in no more than these. */
const newestPartitions = 32
/** A live tail that is further behind begins again at the end. */
const maxBehind = 1000
const longPollMs = 25_000
const paceMs = 300
const jumpPaceMs = 1000
const retryFirstMs = 1000
const retryMaxMs = 8000
const hopeless = new Set(['TOPIC_NOT_FOUND', 'PARTITION_NOT_FOUND', 'REQUEST_INVALID', 'FORBIDDEN', 'UNAUTHORIZED'])

/** Reads a topic from some place and follows it, with a bounded number of records in memory. Rests until told to run. */
export class RecordTail {
  readonly #deps: Deps
  #place: TailPlace = { start: { kind: 'newest' }, partition: undefined }
  #filter: RecordFilter = { text: '', key: '' }
  #phase: TailPhase = 'loading'
  #rows: TailRecord[] = []
  #cursor: string | undefined
  #problem = ''
  #note = ''
  #readCount = 0
  #skippedCount = 0
  /** Sum of the offsets up to which all was shown, between leaving there and beginning again at the end. */
  #leftAt: number | undefined
  #behindCount = 0
  #failures = 0
  #isWanted = false
  #active: AbortController | undefined

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Begins anew there. */
  open(place: TailPlace): void {
    this.#active?.abort()
    this.#active = undefined
    this.#place = place
    this.#to('loading')
    this.#rows = []
    this.#cursor = this.#leftAt = undefined
    this.#problem = this.#note = ''
    this.#readCount = this.#skippedCount = this.#behindCount = 0
    this.#tell()
    this.#run()
  }

  /** Reading from a place in the past begins anew, since it is a search then; what the live tail has is sifted. */
  filter(filter: RecordFilter): void {
    this.#filter = filter
    if (this.#place.start.kind === 'newest') this.#tell()
    else this.open(this.#place)
  }

  /** Runs or rests. It goes on where it was. */
  setWanted(isWanted: boolean): void {
    this.#isWanted = isWanted
    if (isWanted) this.#run()
    else {
      this.#active?.abort()
      this.#active = undefined
    }
  }

  /** Reads on when it is full, with an empty list. */
  goOn(): void {
    if (this.#phase !== 'full') return
    this.#rows = []
    this.#to('reading')
    this.#tell()
    this.#run()
  }

  #run(): void {
    if (!this.#isWanted || this.#active || this.#phase === 'full' || this.#phase === 'failed') return
    this.#active = new AbortController()
    void this.#loop(this.#active)
  }

  async #loop(mine: AbortController): Promise<void> {
    const { signal } = mine
    this.#failures = 0
    while (this.#active === mine) {
      const pauseMs = await this.#step(signal).catch((error: unknown) => this.#failed(error, signal))
      if (pauseMs !== undefined && pauseMs > 0) await this.#deps.wait(pauseMs, signal)
      // Whoever ended it has seen to what comes next.
      if (pauseMs === undefined && this.#active === mine) this.#active = undefined
    }
  }

  /** One look; returns how long to wait until the next, undefined when there is to be none. */
  async #step(signal: AbortSignal): Promise<number | undefined> {
    const { start, partition } = this.#place
    if (this.#cursor === undefined && start.kind === 'newest') return await this.#begin(partition, signal)
    const isFollowing = this.#phase === 'following'
    const from = this.#cursor === undefined ? placeQuery(this.#place) : { cursor: this.#cursor }
    const limit = isFollowing ? maxRows : pageRecords
    const page = await this.#deps.load({ ...from, limit, ...(isFollowing ? { waitMs: longPollMs } : {}) }, signal)
    if (signal.aborted) return undefined
    return this.#take(page)
  }

  /** Starts at the end, with the newest records before it. */
  async #begin(partition: number | undefined, signal: AbortSignal): Promise<number | undefined> {
    const page = await this.#deps.load({ partition, at: 'latest', limit: 1 }, signal)
    const newest = await this.#loadNewest(page.partitions, signal)
    if (signal.aborted) return undefined
    this.#rows = newest
    this.#skippedCount += this.#passedOver(page, newest.length)
    return this.#take(page)
  }

  async #loadNewest(positions: RecordPage['partitions'], signal: AbortSignal): Promise<TailRecord[]> {
    const filled = positions.filter(({ nextOffset, logStartOffset }) => nextOffset > logStartOffset)
    if (filled.length > newestPartitions) return []
    const each = Math.ceil(newestRecords / Math.max(1, filled.length))
    const found = await Promise.all(filled.map((position) => this.#loadBefore(position, each, signal)))
    this.#readCount += found.reduce((sum, records) => sum + records.length, 0)
    return mergeByTime(found.flat())
  }

  /** Up to `wanted` records right before an offset; only the last one when they are too large for one answer. */
  async #loadBefore(
    { partition, nextOffset, logStartOffset }: RecordPage['partitions'][number],
    wanted: number,
    signal: AbortSignal,
  ): Promise<TailRecord[]> {
    for (const limit of [wanted, 1]) {
      const offset = Math.max(logStartOffset, nextOffset - limit)
      const page = await this.#deps.load({ partition, offset, limit }, signal).catch((error: unknown) => {
        // Deleted meanwhile.
        if (!(error instanceof ApiError)) throw error
      })
      const isWhole = page?.partitions.every((mark) => mark.nextOffset >= nextOffset) === true
      if (page && isWhole) return page.records.map(tailRecord).filter((record) => record.offset < nextOffset)
    }
    return []
  }

  #take(page: RecordPage): number | undefined {
    this.#cursor = page.nextCursor
    this.#failures = 0
    this.#problem = ''
    this.#readCount += page.records.length
    this.#behindCount = page.partitions.reduce((sum, { nextOffset, highWatermark }) => sum + highWatermark - nextOffset, 0)
    const isLive = this.#place.start.kind === 'newest'
    if (isLive && this.#behindCount > maxBehind && !isFiltering(this.#filter)) return this.#jump(page)
    const matches = matcherOf(this.#filter)
    this.#rows.push(...mergeByTime(page.records.map(tailRecord)).filter(matches))
    const isAtEnd = this.#behindCount === 0
    if (!isLive && !isAtEnd && this.#phase !== 'following' && this.#isFull()) {
      this.#to('full')
      this.#tell()
      return undefined
    }
    if (this.#phase !== 'following') this.#to(isLive || isAtEnd ? 'following' : 'reading')
    this.#trim()
    this.#tell()
    return this.#phase === 'following' ? paceMs : 0
  }

  /** More comes than anybody can read: begins again at the end. */
  #jump(page: RecordPage): number {
    this.#leftAt = offsetSum(page) - page.records.length
    this.#cursor = undefined
    return jumpPaceMs
  }

  /** How many came between where it left off and the newest records that are shown now. */
  #passedOver(page: RecordPage, shownCount: number): number {
    const from = this.#leftAt
    this.#leftAt = undefined
    return from === undefined ? 0 : Math.max(0, offsetSum(page) - page.records.length - shownCount - from)
  }

  /** Another page may be more than what is kept. */
  #isFull(): boolean {
    return this.#rows.length + Math.min(pageRecords, this.#behindCount) > maxRows || this.#weight() > maxWeight
  }

  #trim(): void {
    let weight = this.#weight()
    let dropped = Math.max(0, this.#rows.length - maxRows)
    for (const [index, row] of this.#rows.entries()) {
      if (index >= dropped && (weight <= maxWeight || index === this.#rows.length - 1)) break
      weight -= row.weight
      dropped = Math.max(dropped, index + 1)
    }
    this.#rows = this.#rows.slice(dropped)
  }

  #weight(): number {
    return this.#rows.reduce((sum, row) => sum + row.weight, 0)
  }

  /** Returns how long to wait until it is tried again, undefined when that is of no use. */
  #failed(error: unknown, signal: AbortSignal): number | undefined {
    if (signal.aborted) return undefined
    const kept = error instanceof ApiError && error.code === 'OFFSET_OUT_OF_RANGE' ? keptPlace(error) : undefined
    if (kept) {
      this.#cursor = kept.cursor
      this.#note = kept.note
      return 0
    }
    this.#problem = messageOf(error)
    const isHopeless = error instanceof ApiError && hopeless.has(error.code)
    if (isHopeless) this.#to('failed')
    this.#tell()
    return isHopeless ? undefined : Math.min(retryMaxMs, retryFirstMs * 2 ** this.#failures++)
  }

  #to(next: TailPhase): void {
    this.#phase = next
  }

  #tell(): void {
    const skipped = this.#skippedCount === 0 ? '' : `${count(this.#skippedCount)} passed over: more come than can be shown.`
    this.#deps.onChange({
      phase: this.#phase,
      rows: isFiltering(this.#filter) ? this.#rows.filter(matcherOf(this.#filter)) : [...this.#rows],
      problem: this.#problem,
      note: [this.#note, skipped].filter((text) => text !== '').join(' '),
      readCount: this.#readCount,
      behindCount: this.#behindCount,
    })
  }
}

function offsetSum({ partitions }: RecordPage): number {
  return partitions.reduce((sum, { nextOffset }) => sum + nextOffset, 0)
}

function placeQuery({ start, partition }: TailPlace): Pick<RecordsQuery, 'partition' | 'offset' | 'at'> {
  switch (start.kind) {
    case 'newest':
      return { partition, at: 'latest' }
    case 'earliest':
      return { partition, at: 'earliest' }
    case 'offset':
      return { partition, offset: start.offset }
    case 'time':
      return { partition, at: String(start.atMs) }
    default:
      return start satisfies never
  }
}

/** Where to go on when the place is not kept any more, or does not exist yet. */
function keptPlace({ details }: ApiError): { cursor: string; note: string } | undefined {
  const { nextCursor: cursor, partitions } = details
  if (typeof cursor !== 'string') return undefined
  const places: readonly { offset: number; logStartOffset: number }[] = Array.isArray(partitions) ? partitions : []
  const missed = places.reduce((sum, { offset, logStartOffset }) => sum + Math.max(0, logStartOffset - offset), 0)
  const note =
    missed > 0 ? `${count(missed)} were deleted before they were read.` : 'There is no such offset yet: this is the end.'
  return { cursor, note }
}
