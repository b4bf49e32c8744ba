import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { OpenSegment } from '../archive/open-segment.ts'
import { ahead } from '../recorder/concurrently.ts'
import type { RecordingSegment } from '../recorder/recording-index.ts'
import { type ExportPlan, ExportPlanner } from './export-plan.ts'
import { KeyframeIndexes } from './keyframe-index.ts'
import type { RecordedMedia } from './media-stretch.ts'
import { type IndexedSegment, recordedPlaylist } from './playlist.ts'
import { type PlaybackIndex, type PlaybackRange, segmentsIn } from './recorded-range.ts'
import { type PlaybackStretch, recordedStretches } from './timeline.ts'

export type PlaybackOptions = {
  readonly index: PlaybackIndex
  readonly openSegment: OpenSegment
  readonly log: Logger
}

/** An archive that is away must not look like a gap. */
const notOfTheFile: ReadonlySet<string> = new Set(['LIMIT_EXCEEDED', 'OBJECTS_UNAVAILABLE'])
/** Of those in the archive each takes two requests. */
const filesAtOnce = 8
/** Plans of exports are kept for the next Range request of the same download. */
const maxPlans = 4
const maxPlanBytes = 128 * 2 ** 20

/**
 * What was recorded, as something to look at: a timeline, an HLS playlist over byte ranges of the files, one MP4. Works on the file that
 * is being recorded too, up to its last flushed part. Everything but the timeline throws `RECORDING_NOT_FOUND` when nothing is
 * there, and what the object store throws for files that are in the archive alone.
 */
export class Playback {
  readonly #options: PlaybackOptions
  readonly #keyframes: KeyframeIndexes
  /** By range and the files in it; least recently used first. */
  readonly #plans = new Map<string, Promise<ExportPlan>>()

  constructor(options: PlaybackOptions) {
    this.#options = options
    this.#keyframes = new KeyframeIndexes(options)
  }

  /** Stretches without a gap, from the index alone. Throws `LIMIT_EXCEEDED`. */
  async timeline(range: PlaybackRange): Promise<PlaybackStretch[]> {
    return await recordedStretches(this.#options.index, range)
  }

  /** A complete HLS playlist; `mediaUrl` gives the address of a recorded file. Throws `LIMIT_EXCEEDED`. */
  async playlist(range: PlaybackRange, { mediaUrl }: { mediaUrl: (id: string) => string }): Promise<string> {
    return await recordedPlaylist(this.#indexed(range), range, mediaUrl)
  }

  /** One recorded file. */
  async openMedia(id: string): Promise<RecordedMedia> {
    const segment = await this.#options.index.find(id)
    if (!segment) throw new AppError('RECORDING_NOT_FOUND', `no recording has the id "${id}"; it may have been deleted`)
    const source = await this.#options.openSegment(segment)
    try {
      const sizeBytes =
        segment.state === 'closed'
          ? Math.min(segment.sizeBytes, source.sizeBytes)
          : (await this.#keyframes.load(segment)).endOffset
      return {
        sizeBytes,
        etag: `${id}-${sizeBytes}`,
        fileName: fileNameOf(segment.stream, segment.startedAtMs),
        read: ({ start, end }) => source.media([{ offset: start, sizeBytes: Math.min(end, sizeBytes) - start }]),
        [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
      }
    } catch (error) {
      await source[Symbol.asyncDispose]()
      throw error
    }
  }

  /** One MP4 of the whole range, gaps closed up, from the keyframe at or before its start. Throws `LIMIT_EXCEEDED`. */
  async openExport(range: PlaybackRange): Promise<RecordedMedia> {
    const segments: RecordingSegment[] = []
    for await (const segment of segmentsIn(this.#options.index, range)) segments.push(segment)
    const plan = await this.#plan(range, segments)
    return {
      sizeBytes: plan.sizeBytes,
      etag: plan.etag,
      fileName: fileNameOf(range.stream, Math.max(range.fromMs ?? 0, segments[0]?.startedAtMs ?? 0)),
      read: ({ start, end }) => plan.read({ start, end: Math.min(end, plan.sizeBytes) }),
      [Symbol.asyncDispose]: async () => {},
    }
  }

  async *#indexed(range: PlaybackRange): AsyncGenerator<IndexedSegment> {
    const load = async (segment: RecordingSegment): Promise<IndexedSegment | undefined> => {
      const index = await this.#unlessDamaged(segment, () => this.#keyframes.load(segment))
      return index && { segment, index }
    }
    for await (const indexed of ahead(segmentsIn(this.#options.index, range), filesAtOnce, load)) if (indexed) yield indexed
  }

  /** A file that was deleted meanwhile, or is damaged, is a gap. */
  async #unlessDamaged<T>({ path }: RecordingSegment, load: () => Promise<T>): Promise<T | undefined> {
    try {
      return await load()
    } catch (error) {
      if (!(error instanceof AppError) || notOfTheFile.has(error.code)) throw error
      this.#options.log.warn({ path, code: error.code, reason: error.message }, 'recorded file left out of playback')
      return undefined
    }
  }

  async #plan(range: PlaybackRange, segments: readonly RecordingSegment[]): Promise<ExportPlan> {
    const { stream, fromMs = -Infinity, toMs = Infinity } = range
    const key = [stream, fromMs, toMs, ...segments.map(({ id, sizeBytes, state }) => `${id} ${sizeBytes} ${state}`)].join('\n')
    const known = this.#plans.get(key)
    const plan = known ?? this.#makePlan(range, segments)
    this.#plans.delete(key)
    this.#plans.set(key, plan)
    try {
      const made = await plan
      if (!known) await this.#letGoPlans()
      return made
    } catch (error) {
      this.#plans.delete(key)
      throw error
    }
  }

  async #makePlan(
    { stream, fromMs = -Infinity, toMs = Infinity }: PlaybackRange,
    segments: readonly RecordingSegment[],
  ): Promise<ExportPlan> {
    const planner = new ExportPlanner({ openSegment: this.#options.openSegment, range: { fromMs, toMs } })
    for (const segment of segments) await this.#unlessDamaged(segment, () => planner.add(segment))
    if (planner.sampleCount === 0) {
      throw new AppError('RECORDING_NOT_FOUND', `nothing of "${stream}" is recorded in this range; see its timeline`)
    }
    return planner.finish()
  }

  async #letGoPlans(): Promise<void> {
    let count = 0
    let costBytes = 0
    for (const [key, plan] of [...this.#plans].reverse()) {
      count += 1
      costBytes += (await plan.catch(() => undefined))?.costBytes ?? 0
      // The newest stays whatever it costs: it is being read.
      if (count > 1 && (count > maxPlans || costBytes > maxPlanBytes)) this.#plans.delete(key)
    }
  }
}

function fileNameOf(stream: string, startedAtMs: number): string {
  return `${stream.replaceAll('/', '-')}-${new Date(startedAtMs).toISOString().replaceAll(/[:.]/g, '-')}.mp4`
}
