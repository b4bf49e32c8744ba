import { renderMediaPlaylist } from '#formats/hls/media-playlist.ts'
import { renderMultivariantPlaylist } from '#formats/hls/multivariant-playlist.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { LiveSettings } from '../settings.ts'
import type { InitSegment, PackagerListener, Segment, SegmentInfo } from './cmaf.ts'
import { type HlsFile, initFile, partFile, segmentFile } from './hls-file.ts'
import { HlsNames, type HlsName } from './hls-names.ts'
import { describeLowLatency, describePlain, describeVariant, type WindowView } from './hls-playlists.ts'
import { RenderedPlaylist } from './rendered-playlist.ts'
import { type WindowSegment, withoutMemory } from './stored-segment.ts'
import { Waiters } from './waiters.ts'

/** What the window asks of the packager that feeds it. */
export interface PackagerFigures {
  readonly partTargetMs: number
  readonly framesPerSecond: number | undefined
}

/** Playlist of a player that knows where it is: `_HLS_msn`, `_HLS_part`, `_HLS_skip` of RFC 8216bis §6.2.5. */
export type PlaylistRequest = { msn?: number; part?: number; skip?: boolean; signal?: AbortSignal | undefined }

/** Segments marked as missing at the start of a low-latency playlist: iOS does not play a shorter one. */
const initialGaps = 7
/** Segments that left the playlist and can still be loaded, for players that read it before. */
const lingeringSegments = 3
/** The newest complete segments, whose memory is kept although they are recorded: most players load these. */
const segmentsInMemory = 1
/** A keyframe interval may grow by this much before a segment is longer than the target duration promised. */
const targetHeadroom = 1.5
/** A first segment longer than this is played while it is made; its target duration is then a guess. */
const firstSegmentPatienceMs = 4000
const guessedTargetSeconds = 12
/** Requests that may wait at once. */
const waiterCapacity = 10_000
/** How long a request waits for the first playlist. */
const firstPlaylistMs = 10_000
/** A blocked request is answered within this many target durations: RFC 8216bis §6.2.5.2. */
const blockTargets = 3

/**
 * The last segments of a stream, as HLS players load them: playlists for players with and without low latency, and the media.
 * Playlists are rendered once for each change. Requests for what is not there yet wait for it.
 *
 * Where a recorder takes the same parts, only the newest segments are held in memory and the others are read from the recording. Without
 * one, or while it is paused, failed or behind, all of them are in memory.
 *
 * `EXT-X-TARGETDURATION` and `PART-TARGET` must never change (RFC 8216bis §4.4.3.1, §4.4.3.7), so there is no playlist before the first segment is
 * complete or four seconds long; the target is then half as much again as what was seen. A segment that is longer all the same
 * keeps its true duration, and the log says so.
 */
export class HlsWindow implements PackagerListener {
  readonly #names: HlsNames
  readonly #figures: PackagerFigures
  readonly #log: Logger
  readonly #settings: Pick<LiveSettings, 'segmentCount' | 'segmentSeconds'>
  readonly #waiters = new Waiters({ capacity: waiterCapacity })
  readonly #rendered = new Map<'live' | 'delta' | 'plain' | 'multivariant', RenderedPlaylist>()
  /** In the playlist; the last one may still grow. */
  #segments: WindowSegment[] = []
  /** No longer in the playlist. */
  #lingering: WindowSegment[] = []
  #gapCount = initialGaps
  #discontinuitySequence = 0
  #firstSequence: number | undefined
  #promise: { readonly targetDurationSeconds: number; readonly gapSeconds: number } | undefined
  #hasWarned = false
  #isEnded = false

  /** `prefix` begins each file name; another one for each window, so that no cache answers with the media of an earlier one. */
  constructor(options: {
    prefix: string
    packager: PackagerFigures
    settings: Pick<LiveSettings, 'segmentCount' | 'segmentSeconds'>
    log: Logger
  }) {
    this.#names = new HlsNames(options.prefix)
    this.#figures = options.packager
    this.#settings = options.settings
    this.#log = options.log
  }

  segmentStarted(segment: Segment): void {
    this.#firstSequence ??= segment.sequence
    this.#segments.push(segment)
  }

  partAdded(): void {
    this.#publish()
    this.#changed()
  }

  segmentEnded(segment: Segment): void {
    this.#publish()
    this.#keepPromise(segment)
    this.#evict()
    this.#shed()
    this.#changed()
  }

  ended(): void {
    this.#isEnded = true
    this.#changed()
  }

  /** The low-latency media playlist. Throws `REQUEST_INVALID` for a position out of reach and `HLS_NOT_READY` when it does not come in time. */
  async playlist({ msn, part, skip = false, signal }: PlaylistRequest): Promise<RenderedPlaylist> {
    this.#checkPosition(msn, part)
    await this.#until(() => this.#promise !== undefined && (msn === undefined || this.#hasReached(msn, part)), signal)
    const view = this.#view()
    return this.#render(skip ? 'delta' : 'live', () => renderMediaPlaylist(describeLowLatency(view, { skip })))
  }

  /** The media playlist for players that know no low latency: complete segments only. */
  async plainPlaylist({ signal }: { signal?: AbortSignal | undefined }): Promise<RenderedPlaylist> {
    await this.#until(() => this.#promise !== undefined && this.#segments.some((segment) => segment.isComplete), signal)
    return this.#render('plain', () => renderMediaPlaylist(describePlain(this.#view())))
  }

  /** The multivariant playlist; its one variant is the low-latency media playlist. */
  async multivariantPlaylist({ signal }: { signal?: AbortSignal | undefined }): Promise<RenderedPlaylist> {
    await this.#until(() => this.#promise !== undefined, signal)
    const variant = describeVariant(this.#view(), { framesPerSecond: this.#figures.framesPerSecond })
    return this.#render('multivariant', () => renderMultivariantPlaylist([variant]))
  }

  /** An initialization segment, segment or part by name; the part that comes next is waited for. Throws `HLS_FILE_NOT_FOUND`, `HLS_NOT_READY`. */
  async file(file: string, { signal }: { signal?: AbortSignal | undefined }): Promise<HlsFile> {
    const name = this.#names.parse(file)
    if (name?.kind === 'part') await this.#partMade(name, signal)
    const found = name && this.#find(name)
    if (found === undefined)
      throw new AppError('HLS_FILE_NOT_FOUND', `${file} is not in the live window; load the playlist again`)
    return found
  }

  #msnOf(segment: SegmentInfo): number {
    return segment.sequence - (this.#firstSequence ?? 0) + initialGaps
  }

  /** Where the next part goes: a media sequence number, and the index in that segment. */
  #edge(): { msn: number; parts: number } {
    const last = this.#segments.at(-1)
    if (last === undefined) return { msn: initialGaps, parts: 0 }
    return last.isComplete ? { msn: this.#msnOf(last) + 1, parts: 0 } : { msn: this.#msnOf(last), parts: last.parts.length }
  }

  /** RFC 8216bis §6.2.5.2. */
  #checkPosition(msn: number | undefined, part: number | undefined): void {
    if (msn === undefined && part === undefined) return
    if (msn === undefined) throw new AppError('REQUEST_INVALID', '_HLS_part without _HLS_msn; send both')
    const edge = this.#edge()
    const partLimit = edge.parts + Math.ceil(3000 / Math.min(this.#figures.partTargetMs, 1000))
    const isTooFar = msn > edge.msn + 1 || (msn === edge.msn && part !== undefined && part >= partLimit)
    if (isTooFar)
      throw new AppError(
        'REQUEST_INVALID',
        `media sequence number ${msn} is too far ahead of ${edge.msn}; load the playlist again`,
      )
  }

  /** Whether the playlist has the segment, or the part; an index beyond the last part of a segment means the first of the next. */
  #hasReached(msn: number, part: number | undefined): boolean {
    const edge = this.#edge()
    if (edge.msn > msn + 1) return true
    if (edge.msn < msn) return false
    if (edge.msn === msn) return part !== undefined && part < edge.parts
    return part === undefined || edge.parts > 0 || part < (this.#segmentAt(msn)?.parts.length ?? 0)
  }

  /** Waits for the part if it is the one that comes next. */
  async #partMade({ msn, index }: { msn: number; index: number }, signal: AbortSignal | undefined): Promise<void> {
    const edge = this.#edge()
    if (msn !== edge.msn || index !== edge.parts) return
    await this.#until(() => this.#edge().msn > msn || this.#edge().parts > index, signal)
  }

  async #until(isReady: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    const timeoutMs = this.#promise ? this.#promise.targetDurationSeconds * blockTargets * 1000 : firstPlaylistMs
    await this.#waiters.until(() => this.#isEnded || isReady(), { timeoutMs, signal })
    if (this.#promise === undefined) throw new AppError('HLS_NOT_READY', 'the stream ended before its first segment; ask again')
  }

  #find(name: HlsName): HlsFile | undefined {
    if (name.kind === 'init') {
      const init = this.#findInit(name.id)
      return init && initFile(init)
    }
    const segment = this.#segmentAt(name.msn)
    if (segment === undefined) return undefined
    if (name.kind === 'segment') return segment.isComplete ? segmentFile(segment) : undefined
    const part = segment.parts[name.index]
    return part && partFile(part)
  }

  #segmentAt(msn: number): WindowSegment | undefined {
    return [...this.#segments, ...this.#lingering].find((segment) => this.#msnOf(segment) === msn)
  }

  #findInit(id: number): InitSegment | undefined {
    return [...this.#segments, ...this.#lingering].find((segment) => segment.init.id === id)?.init
  }

  /** Fixes the target duration as soon as it can be told. */
  #publish(): void {
    const [first] = this.#segments
    if (this.#promise !== undefined || first === undefined) return
    if (!first.isComplete && first.durationMs < firstSegmentPatienceMs) return
    const leastMs = Math.max(first.durationMs, this.#settings.segmentSeconds * 1000)
    const seconds = Math.ceil((leastMs * targetHeadroom) / 1000)
    const targetDurationSeconds = first.isComplete ? seconds : Math.max(seconds, guessedTargetSeconds)
    this.#promise = { targetDurationSeconds, gapSeconds: leastMs / 1000 }
  }

  #keepPromise(segment: SegmentInfo): void {
    const targetDurationSeconds = this.#promise?.targetDurationSeconds ?? Infinity
    if (this.#hasWarned || Math.round(segment.durationMs / 1000) <= targetDurationSeconds) return
    this.#hasWarned = true
    this.#log.warn(
      { durationMs: segment.durationMs, targetDurationSeconds },
      'HLS segment longer than promised; shorten the keyframe interval',
    )
  }

  /** Drops the oldest segments; what stays is at least three target durations long (RFC 8216bis §6.2.2). */
  #evict(): void {
    const leastMs = (this.#promise?.targetDurationSeconds ?? 0) * 3000
    let totalMs = this.#segments.reduce((sum, segment) => sum + segment.durationMs, 0)
    if (this.#gapCount > 0) this.#gapCount = Math.max(0, initialGaps - this.#segments.length)
    for (;;) {
      const [oldest] = this.#segments
      if (oldest === undefined || this.#segments.length <= this.#settings.segmentCount) return
      totalMs -= oldest.durationMs
      if (totalMs < leastMs) return
      this.#gapCount = 0
      this.#segments.shift()
      if (this.#isDiscontinuity(oldest)) this.#discontinuitySequence += 1
      this.#lingering.push(oldest)
      if (this.#lingering.length > lingeringSegments) this.#lingering.shift()
    }
  }

  /** Lets go of the memory of older segments that are in a recording. */
  #shed(): void {
    const newest = this.#segments.slice(-segmentsInMemory)
    this.#segments = this.#segments.map((segment) => (newest.includes(segment) ? segment : withoutMemory(segment)))
    this.#lingering = this.#lingering.map(withoutMemory)
  }

  /** There is nothing before the first segment that it could continue. */
  #isDiscontinuity(segment: SegmentInfo): boolean {
    return segment.isDiscontinuity && segment.sequence !== this.#firstSequence
  }

  #changed(): void {
    this.#rendered.clear()
    this.#waiters.notify()
  }

  #render(kind: 'live' | 'delta' | 'plain' | 'multivariant', text: () => string): RenderedPlaylist {
    const rendered = this.#rendered.get(kind) ?? new RenderedPlaylist(text())
    this.#rendered.set(kind, rendered)
    return rendered
  }

  #view(): WindowView {
    return {
      names: this.#names,
      segments: this.#segments,
      msnOf: (segment) => this.#msnOf(segment),
      isDiscontinuity: (segment) => this.#isDiscontinuity(segment),
      gapCount: this.#gapCount,
      gapSeconds: this.#promise?.gapSeconds ?? 0,
      discontinuitySequence: this.#discontinuitySequence,
      targetDurationSeconds: this.#promise?.targetDurationSeconds ?? 0,
      partTargetSeconds: this.#figures.partTargetMs / 1000,
      edge: this.#edge(),
      isEnded: this.#isEnded,
    }
  }
}
