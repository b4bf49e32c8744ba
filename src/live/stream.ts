import { EventEmitter } from 'node:events'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import { sameParameters, type Track } from '#formats/media/track.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { GopCache } from './gop-cache.ts'
import { HealthMeter } from './health.ts'
import type { Peer } from './peer.ts'
import type { Publication } from './publication.ts'
import { type Drop, Reader, type ReaderHandle, type ReaderLimits, type ReaderSink } from './reader.ts'
import { Timeline } from './timeline.ts'

/** Who feeds a stream, as seen from outside. */
export type PublicationInfo = { readonly priority: number; readonly label: string; readonly peer?: Peer }

export type StreamSignals = {
  /** The first units of a publication are flowing. `from`: the one it took over from while the stream was online. */
  active: [info: PublicationInfo, from: PublicationInfo | undefined]
  /** No publication is left: readers wait. */
  inactive: [reason: string]
  /** A slow reader was cut to the next keyframe. */
  drop: [peer: Peer, drop: Drop]
  readers: [count: number]
}

/** A publication that sent nothing for this long no longer holds its place: a worse one may take over until it sends again. */
const silentMs = 2_000

type Feed = PublicationInfo & {
  tracks: readonly Track[]
  /** Source track id → the stream's track and the source parameters that it was made from. */
  map: Map<number, { source: Track; track: Track }>
  isClosed: boolean
  lastWriteMs: number
  readonly controller: AbortController
}

/**
 * A live thing with a name: publications come in, access units on one monotonic timeline go out to readers.
 *
 * Several publications may be open at once, each with a priority (0 is best). One is active. A better one takes over with its first
 * keyframe; when the active one closes, the best of the others does. Readers stay through all of it. A unit's path is synchronous:
 * publication → timeline → GOP cache → every reader.
 */
export class Stream extends EventEmitter<StreamSignals> {
  readonly name: string
  readonly #clock: Clock
  readonly #limits: ReaderLimits & { readonly maxReaders: number }
  readonly #timeline = new Timeline()
  readonly #gop = new GopCache()
  readonly #health = new HealthMeter()
  readonly #feeds = new Set<Feed>()
  readonly #readers = new Set<Reader>()
  #active: Feed | undefined
  #tracks: readonly Track[] = []
  #nextTrackId = 1
  #droppedUnits = 0

  constructor(options: { name: string; clock: Clock; limits: ReaderLimits & { readonly maxReaders: number } }) {
    super()
    this.name = options.name
    this.#clock = options.clock
    this.#limits = options.limits
  }

  /** Tracks of the active publication, or of the last one; empty before the first. */
  get tracks(): readonly Track[] {
    return this.#tracks
  }
  get isOnline(): boolean {
    return this.#active !== undefined
  }
  /** The active publication is open and has sent nothing for two seconds. */
  get isSilent(): boolean {
    return this.#active !== undefined && this.#clock.monotonicMs() - this.#active.lastWriteMs > silentMs
  }
  get active(): PublicationInfo | undefined {
    return this.#active
  }
  get readers(): ReadonlySet<ReaderHandle> {
    return this.#readers
  }
  get health(): HealthMeter {
    return this.#health
  }
  get timestampJumps(): number {
    return this.#timeline.jumps
  }
  /** Access units that slow readers did not get, those of readers now gone included. */
  get droppedUnits(): number {
    let total = this.#droppedUnits
    for (const reader of this.#readers) total += reader.stats.droppedUnits
    return total
  }

  /** Opens a way in. Nothing changes for readers before its first keyframe. */
  openPublication(info: PublicationInfo): Publication {
    const feed: Feed = { ...info, tracks: [], map: new Map(), isClosed: false, lastWriteMs: 0, controller: new AbortController() }
    this.#feeds.add(feed)
    return {
      start: (tracks) => {
        feed.tracks = tracks
      },
      write: (unit) => this.#write(feed, unit),
      countLoss: (packets) => this.#health.loss(packets),
      close: (reason) => this.#closeFeed(feed, reason),
      signal: feed.controller.signal,
    }
  }

  /** Adds a reader and hands it the current group of pictures at once. Throws `STREAM_LIMIT`. */
  addReader(options: { peer: Peer; sink: ReaderSink; limits?: ReaderLimits }): ReaderHandle {
    if (this.#readers.size >= this.#limits.maxReaders) {
      throw new AppError(
        'STREAM_LIMIT',
        `stream "${this.name}" has ${this.#readers.size} readers, the most allowed; raise live.maxReadersPerStream`,
      )
    }
    const reader = new Reader({
      peer: options.peer,
      sink: options.sink,
      limits: options.limits ?? this.#limits,
      onDrop: (drop) => {
        this.emit('drop', options.peer, drop)
      },
      onRemove: (gone) => {
        this.#forget(gone)
      },
    })
    this.#readers.add(reader)
    const nowMs = this.#clock.monotonicMs()
    for (const unit of this.#gop.units) reader.push(unit, this.#canStart(unit), nowMs)
    this.emit('readers', this.#readers.size)
    return reader
  }

  /** Ends all publications and readers: the stream is stopped or removed. */
  end(reason: string): void {
    for (const feed of this.#feeds) {
      this.#closeFeed(feed, reason)
      feed.controller.abort(new AppError('STREAM_STOPPED', `stream "${this.name}": ${reason}`))
    }
    for (const reader of this.#readers) {
      this.#forget(reader)
      reader.end(reason)
    }
  }

  /** Takes the stream away from the publications with this priority, because their source is no longer wanted. */
  closePublications(priority: number, reason: string): void {
    for (const feed of this.#feeds) {
      if (feed.priority !== priority) continue
      this.#closeFeed(feed, reason)
      feed.controller.abort(new AppError('STREAM_STOPPED', `stream "${this.name}": ${reason}`))
    }
  }

  #write(feed: Feed, unit: AccessUnit): void {
    if (feed.isClosed) return
    const nowMs = this.#clock.monotonicMs()
    if (feed !== this.#active && !this.#tryActivate(feed, unit, nowMs)) return
    feed.lastWriteMs = nowMs
    const track = this.#streamTrack(feed, unit.track)
    if (!track) return
    const stamp = this.#timeline.map(unit, track.id, nowMs)
    if (!stamp) return
    const mapped: AccessUnit = { track, ...stamp, ntpMs: unit.ntpMs, isKeyframe: unit.isKeyframe, data: unit.data }
    this.#health.unit(mapped, nowMs)
    this.#gop.add(mapped)
    const canStart = this.#canStart(mapped)
    for (const reader of this.#readers) reader.push(mapped, canStart, nowMs)
  }

  /** A publication takes over with a keyframe when nobody, a worse one, or a silent one is active. */
  #tryActivate(feed: Feed, unit: AccessUnit, nowMs: number): boolean {
    const current = this.#active
    if (feed.tracks.length === 0 || (current && current.priority <= feed.priority && !this.isSilent)) return false
    const hasVideo = feed.tracks.some(({ kind }) => kind === 'video')
    if (!unit.isKeyframe || (hasVideo && unit.track.kind !== 'video')) return false
    this.#active = feed
    feed.lastWriteMs = nowMs
    this.#timeline.begin()
    this.#gop.clear()
    this.#adoptTracks(feed)
    this.emit('active', feed, current)
    return true
  }

  /** Gives the publication's tracks the stream's ids: a track keeps its id while kind and codec stay the same. */
  #adoptTracks(feed: Feed): void {
    const free = [...this.#tracks]
    const tracks: Track[] = []
    for (const source of feed.tracks) {
      const at = free.findIndex(
        (track) => track.parameters.codec === source.parameters.codec && track.clockRateHz === source.clockRateHz,
      )
      const [kept] = at < 0 ? [] : free.splice(at, 1)
      const track = { ...source, id: kept?.id ?? this.#nextTrackId++ }
      feed.map.set(source.id, { source, track })
      tracks.push(track)
    }
    const isSameSet = tracks.length === this.#tracks.length && tracks.every(({ id }) => this.#tracks.some((old) => old.id === id))
    this.#tracks = tracks
    if (isSameSet) return
    for (const reader of this.#readers) reader.sink.tracksChanged(tracks)
  }

  #streamTrack(feed: Feed, source: Track): Track | undefined {
    const known = feed.map.get(source.id)
    if (!known) return undefined
    if (known.source === source) return known.track
    const track = sameParameters(known.source.parameters, source.parameters)
      ? known.track
      : { ...known.track, parameters: source.parameters }
    feed.map.set(source.id, { source, track })
    this.#tracks = this.#tracks.map((old) => (old.id === track.id ? track : old))
    return track
  }

  #canStart(unit: AccessUnit): boolean {
    return unit.isKeyframe && (unit.track.kind === 'video' || this.#tracks.every(({ kind }) => kind === 'audio'))
  }

  #closeFeed(feed: Feed, reason: string): void {
    if (feed.isClosed) return
    feed.isClosed = true
    this.#feeds.delete(feed)
    if (this.#active !== feed) return
    this.#active = undefined
    // The old group of pictures must not meet a new source's: a reader that joins now waits for the next keyframe.
    this.#gop.clear()
    this.#health.outage()
    this.emit('inactive', reason)
  }

  #forget(reader: Reader): void {
    if (!this.#readers.delete(reader)) return
    this.#droppedUnits += reader.stats.droppedUnits
    this.emit('readers', this.#readers.size)
  }
}
