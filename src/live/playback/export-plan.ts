import { createHash } from 'node:crypto'
import { type Fragment, fragmentSamples, scanFragments, type TrackSamples } from '#formats/mp4/fragment-index.ts'
import { type MediaRange, ProgressiveBuilder } from '#formats/mp4/progressive.ts'
import type { MovieInit } from '#formats/mp4/read-init.ts'
import type { OpenSegment } from '../archive/open-segment.ts'
import { readRecordedHead } from '../recorder/recorded-file.ts'
import type { RecordingSegment } from '../recorder/recording-index.ts'

/** Decode times of neighbouring files that differ by more have a gap between them, which is closed up. */
const continuityToleranceMs = 100

/** One MP4 made of parts of many files: the head is in memory, the media stays where it is until somebody reads it. */
export class ExportPlan {
  readonly head: Buffer
  readonly sizeBytes: number
  readonly etag: string
  readonly #open: OpenSegment
  readonly #files: readonly RecordingSegment[]
  readonly #ranges: RangeTable

  constructor({ head, files, ranges, openSegment }: PlannedExport) {
    this.head = head
    this.sizeBytes = head.length + ranges.sizeBytes
    this.#files = files
    this.#open = openSegment
    this.#ranges = ranges
    // The head has all sizes and places in it: with the names of the files it stands for every byte.
    this.etag = createHash('sha256')
      .update(head)
      .update(files.map(({ path }) => path).join('\n'))
      .digest('base64url')
      .slice(0, 27)
  }

  /** Bytes of memory that the plan takes. */
  get costBytes(): number {
    return this.head.length + this.#ranges.costBytes
  }

  /** `[start, end)` of the MP4. Files are opened one after the other. */
  async *read({ start, end }: { start: number; end: number }): AsyncGenerator<Buffer> {
    if (start < this.head.length) yield this.head.subarray(start, Math.min(end, this.head.length))
    const media = { start: Math.max(0, start - this.head.length), end: end - this.head.length }
    for (const { file, ranges } of this.#ranges.between(media)) {
      const segment = this.#files[file]
      if (!segment) continue
      await using source = await this.#open(segment)
      yield* source.media(ranges)
    }
  }
}

type PlannedExport = {
  readonly head: Buffer
  readonly files: readonly RecordingSegment[]
  readonly ranges: RangeTable
  readonly openSegment: OpenSegment
}

/** The stretches of source files that make up the media data, in order. */
class RangeTable {
  readonly #files: number[] = []
  readonly #offsets: number[] = []
  /** Where each begins in the media data. */
  readonly #starts: number[] = []
  sizeBytes = 0

  get costBytes(): number {
    return this.#files.length * 24
  }

  add(file: number, { offset, sizeBytes }: MediaRange): void {
    const last = this.#files.length - 1
    const lastBytes = this.sizeBytes - (this.#starts[last] ?? 0)
    if (this.#files[last] !== file || (this.#offsets[last] ?? 0) + lastBytes !== offset) {
      this.#files.push(file)
      this.#offsets.push(offset)
      this.#starts.push(this.sizeBytes)
    }
    this.sizeBytes += sizeBytes
  }

  /** What of the files makes up `[start, end)`, file by file. */
  *between({ start, end }: { start: number; end: number }): Generator<{ file: number; ranges: Iterable<MediaRange> }> {
    let at = this.#indexAt(start)
    while (at < this.#files.length && (this.#starts[at] ?? end) < end) {
      const file = this.#files[at] ?? 0
      let next = at
      while (this.#files[next] === file && (this.#starts[next] ?? end) < end) next += 1
      yield { file, ranges: this.#slices(at, next, { start, end }) }
      at = next
    }
  }

  *#slices(from: number, to: number, { start, end }: { start: number; end: number }): Generator<MediaRange> {
    for (let i = from; i < to; i++) {
      const rangeStart = this.#starts[i] ?? 0
      const rangeEnd = this.#starts[i + 1] ?? this.sizeBytes
      const first = Math.max(start, rangeStart)
      const sizeBytes = Math.min(end, rangeEnd) - first
      if (sizeBytes > 0) yield { offset: (this.#offsets[i] ?? 0) + first - rangeStart, sizeBytes }
    }
  }

  /** The last range that begins at or before `position`. */
  #indexAt(position: number): number {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#starts[middle] ?? 0) <= position) low = middle
      else high = middle - 1
    }
    return low
  }
}

export type ExportRange = { readonly fromMs: number; readonly toMs: number }

/**
 * Plans one MP4 of recorded files, given one after the other. It begins with the part whose keyframe is at or before `fromMs` and has all
 * samples that are decoded before `toMs`; gaps are closed up.
 */
export class ExportPlanner {
  readonly #open: OpenSegment
  readonly #range: ExportRange
  readonly #builder = new ProgressiveBuilder()
  readonly #ranges = new RangeTable()
  readonly #files: RecordingSegment[] = []
  #before: { sessionId: string; endMs: number } | undefined

  constructor({ openSegment, range }: { openSegment: OpenSegment; range: ExportRange }) {
    this.#open = openSegment
    this.#range = range
  }

  get sampleCount(): number {
    return this.#builder.sampleCount
  }

  /** Throws `RECORDING_NOT_FOUND`, `TRUNCATED`, `MALFORMED`, `DISK_FAILED`: others may follow all the same; `LIMIT_EXCEEDED`. */
  async add(segment: RecordingSegment): Promise<void> {
    await using source = await this.#open(segment)
    const { init, mediaOffset } = await readRecordedHead(source)
    this.#builder.useInit(init)
    this.#files.push(segment)
    let firstMs: number | undefined
    /** Parts since the last keyframe at or before `fromMs`. */
    let held: Fragment[] = []
    for await (const fragment of scanFragments(source, init, mediaOffset)) {
      firstMs ??= fragment.startMs
      const wallMs = segment.startedAtMs + fragment.startMs - firstMs
      if (wallMs >= this.#range.toMs) break
      if (wallMs <= this.#range.fromMs) {
        if (fragment.isIndependent) held = []
        held.push(fragment)
        continue
      }
      const endMs = firstMs + this.#range.toMs - segment.startedAtMs
      for (const one of [...held, fragment]) this.#take(one, { segment, init, endMs })
      held = []
    }
    const fileMs = (firstMs ?? 0) - segment.startedAtMs
    const endMs = fileMs + this.#range.toMs
    // The file ends before the range begins: what is held is not wanted.
    if ((held.at(-1)?.endMs ?? 0) <= fileMs + this.#range.fromMs) return
    for (const one of held) this.#take(one, { segment, init, endMs })
  }

  /** Call once, after the last `add`. */
  finish(): ExportPlan {
    const { head } = this.#builder.finish()
    return new ExportPlan({ head, files: this.#files, ranges: this.#ranges, openSegment: this.#open })
  }

  #take(fragment: Fragment, { segment, init, endMs }: { segment: RecordingSegment; init: MovieInit; endMs: number }): void {
    const tracks = fragmentSamples(fragment.moof, fragment.offset, init).map((track) => before(track, endMs))
    this.#joinTo(segment, fragment, tracks)
    for (const track of tracks) {
      for (const range of this.#builder.add(track)) this.#ranges.add(this.#files.length - 1, range)
    }
    this.#before = { sessionId: segment.sessionId, endMs: fragment.endMs }
  }

  #joinTo({ sessionId }: RecordingSegment, { startMs }: Fragment, tracks: readonly TrackSamples[]): void {
    const last = this.#before
    if (last?.sessionId === sessionId && Math.abs(startMs - last.endMs) <= continuityToleranceMs) return
    const starts = tracks.flatMap(({ track, samples }) => (samples[0] ? [samples[0].dtsTicks / track.timescaleHz] : []))
    this.#builder.beginSpan(Math.min(startMs / 1000, ...starts))
  }
}

/** The samples of a track that are decoded before `endMs`. */
function before({ track, samples }: TrackSamples, endMs: number): TrackSamples {
  const limitTicks = (endMs * track.timescaleHz) / 1000
  return { track, samples: samples.filter(({ dtsTicks }) => dtsTicks < limitTicks) }
}
