import { ticksToMs, type AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { codecsOf } from '#formats/mp4/codec-strings.ts'
import { writeFragment } from '#formats/mp4/fragment.ts'
import { trackIdAt, writeInitSegment } from '#formats/mp4/init-segment.ts'
import { isDescribable } from '#formats/mp4/sample-entry.ts'
import type { ReaderSink } from '../reader.ts'
import type { LiveSettings } from '../settings.ts'
import type { InitSegment, PackagerListener, Part } from './cmaf.ts'
import { Lane, type LaneSample } from './lane.ts'
import { LiveSegment } from './live-segment.ts'
import { PartTarget } from './part-target.ts'

export type PackagerStats = {
  readonly segments: number
  readonly parts: number
  readonly bytes: number
  /** Access units that came while no keyframe had started a segment, had no usable time, data or parameters, or found their track's queue full. */
  readonly droppedUnits: number
  /** Access units whose timestamps were changed so that time goes on. */
  readonly correctedUnits: number
  /** Parts above the part target: one frame lasted longer than that. */
  readonly longParts: number
}

/** A segment without an end would grow for ever on a camera that sends one keyframe and no more: it is cut where it stands. */
const longestSegmentMs = 60_000
const largestSegmentBytes = 64 * 2 ** 20
const largestPartBytes = 16 * 2 ** 20
const largestPartSamples = 2000
/** Tracks other than the leading one may be ahead of it by this much; what comes beyond is dropped until it follows. */
const furthestAheadMs = 10_000
/** A leading track that was silent for longer goes on as a discontinuity; another one leaves a hole. */
const longestPauseMs = 2000

/**
 * Makes CMAF parts and segments (ISO/IEC 23000-19 §7.3.2) from a stream's access units, once for all who need them.
 *
 *   waiting ── keyframe of the leading track ──► packaging ── tracks or parameters change ──► waiting
 *      └──────────────────────── end, close ─────────┴──────────────────────────────────────► ended
 *
 * The first video track leads, or the first audio track when there is no video: parts and segments are cut between its frames, and
 * the others add the frames that start before the cut. Decode times are the stream's own. A segment ends before the first keyframe
 * after `segmentSeconds`; new parameters and pauses start a segment with `isDiscontinuity`, in place of an error. Bad timestamps are
 * corrected and counted.
 *
 * 3 µs an access unit at 4 Mbit/s, 2 GB/s: 0.03 % of a core a stream with a viewer (bench/packager.ts).
 *
 * A segment is told of together with its first part, so that tracks which change together share one initialization segment.
 */
export class Packager implements ReaderSink {
  /** All that comes in is worked off at once. */
  readonly bufferedBytes = 0
  readonly #partTarget: PartTarget
  readonly #segmentMs: number
  readonly #accepts: (track: Track) => boolean
  readonly #listeners = new Set<PackagerListener>()
  #state: 'waiting' | 'packaging' | 'ended' = 'waiting'
  #lanes: Lane[] = []
  #init: InitSegment | undefined
  #segment: LiveSegment | undefined
  #isDiscontinuity = false
  #segmentStartMs = 0
  #framesPerSecond: number | undefined
  #segmentFrames = 0
  #nextSequence = 0
  #parts = 0
  #bytes = 0
  #droppedUnits = 0
  #correctedBefore = 0
  #longParts = 0

  /** `accepts` leaves tracks out: HLS players know no G.711, recordings do. */
  constructor(options: {
    tracks: readonly Track[]
    settings: Pick<LiveSettings, 'partMilliseconds' | 'segmentSeconds'>
    accepts?: (track: Track) => boolean
  }) {
    this.#partTarget = new PartTarget(options.settings)
    this.#segmentMs = options.settings.segmentSeconds * 1000
    this.#accepts = options.accepts ?? (() => true)
    this.#setTracks(options.tracks)
  }

  /** `PART-TARGET` in milliseconds. Does not change once a part was made. */
  get partTargetMs(): number {
    return this.#partTarget.ms
  }
  /** Frame rate of the leading video track in the last complete segment. */
  get framesPerSecond(): number | undefined {
    return this.#framesPerSecond
  }
  get stats(): PackagerStats {
    const correctedUnits = this.#lanes.reduce((sum, lane) => sum + lane.correctedCount, this.#correctedBefore)
    return {
      segments: this.#nextSequence,
      parts: this.#parts,
      bytes: this.#bytes,
      droppedUnits: this.#droppedUnits,
      correctedUnits,
      longParts: this.#longParts,
    }
  }

  /** The listener hears of the open segment and its parts at once, then of all that follows. */
  addListener(listener: PackagerListener): void {
    this.#listeners.add(listener)
    if (this.#state === 'ended') listener.ended()
    const segment = this.#segment
    if (segment === undefined) return
    listener.segmentStarted(segment)
    for (const part of segment.parts) listener.partAdded(part, segment)
  }

  removeListener(listener: PackagerListener): void {
    this.#listeners.delete(listener)
  }

  hasListener(listener: PackagerListener): boolean {
    return this.#listeners.has(listener)
  }

  write(unit: AccessUnit): void {
    const lane = this.#lanes.find((candidate) => candidate.track.id === unit.track.id)
    if (this.#state === 'ended' || lane === undefined) return
    if (!isUsable(unit) || !lane.meet(unit.track)) {
      this.#droppedUnits += 1
    } else if (lane === this.#lanes[0]) {
      this.#writeLeading(lane, unit)
    } else {
      this.#writeFollowing(lane, unit)
    }
  }

  /** The source went away: what is pending is cut, so that it can be seen and kept. The next keyframe starts a discontinuity. */
  pause(): void {
    this.#finish()
  }

  tracksChanged(tracks: readonly Track[]): void {
    if (this.#state === 'ended') return
    this.#finish()
    this.#correctedBefore = this.stats.correctedUnits
    this.#setTracks(tracks)
  }

  end(): void {
    this.close()
  }

  /** Flushes what is pending and tells the listeners. Idempotent. */
  close(): void {
    if (this.#state === 'ended') return
    this.#finish()
    this.#state = 'ended'
    for (const listener of this.#listeners) listener.ended()
  }

  /** The leading track comes first: the first video track, or else the first there is. */
  #setTracks(tracks: readonly Track[]): void {
    const accepted = tracks.filter((track) => this.#accepts(track) && isDescribable(track.parameters))
    const leading = accepted.find((track) => track.kind === 'video') ?? accepted[0]
    const ordered = leading === undefined ? [] : [leading, ...accepted.filter((track) => track !== leading)]
    const endMs = (kind: Track['kind']): number => this.#lanes.find((lane) => lane.track.kind === kind)?.endMs ?? 0
    this.#lanes = ordered.map((track) => new Lane(track, { notBeforeMs: endMs(track.kind) }))
  }

  #writeLeading(lane: Lane, unit: AccessUnit): void {
    if (this.#state === 'packaging') this.#writeHeld(lane, unit)
    const isStart = this.#state === 'waiting'
    if (isStart && !unit.isKeyframe) {
      this.#droppedUnits += 1
      return
    }
    if (isStart) lane.adopt()
    lane.hold(unit)
    if (isStart) this.#start(lane.heldMs)
  }

  #start(startMs: number): void {
    this.#state = 'packaging'
    this.#segmentStartMs = startMs
    for (const lane of this.#lanes.slice(1)) this.#droppedUnits += lane.dropBefore(startMs)
  }

  /** Collects the held frame, now that `next` tells its duration, and cuts what must be cut before `next`. */
  #writeHeld(lane: Lane, next: AccessUnit): void {
    const isLongPause = lane.msUntil(next) > Math.max(longestPauseMs, 3 * this.#partTarget.ms)
    if (lane.isStale || (isLongPause && next.isKeyframe)) {
      this.#flush(isLongPause ? undefined : lane.ticksUntil(next))
      return
    }
    this.#collectHeld(lane, lane.ticksUntil(next))
    if (this.#isSegmentOver(lane, next)) this.#endSegment()
    else if (this.#isPartOver(lane, next)) this.#cutPart()
  }

  #collectHeld(lane: Lane, durationTicks: number): void {
    const durationMs = ticksToMs(durationTicks, lane.clockRateHz)
    if (lane.collectedCount > 0 && this.#partTarget.isFull(lane.collectedMs, durationMs)) this.#cutPart()
    lane.release(durationTicks)
  }

  #isSegmentOver(lane: Lane, next: AccessUnit): boolean {
    const durationMs = lane.endMs - this.#segmentStartMs
    if (durationMs >= longestSegmentMs || (this.#segment?.sizeBytes ?? 0) >= largestSegmentBytes) return true
    if (!next.isKeyframe) return false
    // Half a frame of tolerance: timestamps that jitter must not make every second segment twice as long.
    return (
      durationMs + ticksToMs(lane.nominalTicks, lane.clockRateHz) / 2 >= this.#segmentMs ||
      this.#lanes.some((candidate) => candidate.isStale)
    )
  }

  #isPartOver(lane: Lane, next: AccessUnit): boolean {
    if (next.isKeyframe && this.#partTarget.isReached(lane.collectedMs)) return true
    return isLarge(lane) || this.#partTarget.isFull(lane.collectedMs, ticksToMs(lane.nominalTicks, lane.clockRateHz))
  }

  #writeFollowing(lane: Lane, unit: AccessUnit): void {
    const aheadMs = ticksToMs(unit.dtsTicks, unit.track.clockRateHz) - (this.#lanes[0]?.heldMs ?? 0)
    if (this.#state === 'waiting' || isLarge(lane) || aheadMs > furthestAheadMs) {
      this.#droppedUnits += 1
      return
    }
    lane.release(lane.msUntil(unit) > longestPauseMs ? lane.nominalTicks : lane.ticksUntil(unit))
    lane.hold(unit)
  }

  /** Ends the segment where the leading track stands; the next one starts at a keyframe and does not continue it. */
  #flush(lastDurationTicks?: number): void {
    const [leading, ...others] = this.#lanes
    if (this.#state !== 'packaging' || leading === undefined) return
    this.#collectHeld(leading, lastDurationTicks ?? leading.nominalTicks)
    for (const lane of others) lane.releaseBefore(leading.endMs)
    this.#endSegment()
    this.#wait()
  }

  /** Ends the segment with all that any track has: none of them goes on. */
  #finish(): void {
    const [leading, ...others] = this.#lanes
    if (this.#state === 'packaging' && leading !== undefined) {
      this.#collectHeld(leading, leading.nominalTicks)
      for (const lane of others) lane.release()
      this.#endSegment(Infinity)
      this.#wait()
    }
    for (const lane of others) this.#droppedUnits += lane.dropBefore(Infinity)
  }

  #wait(): void {
    this.#isDiscontinuity = this.#nextSequence > 0
    this.#state = 'waiting'
  }

  #endSegment(beforeMs?: number): void {
    this.#cutPart(beforeMs)
    const segment = this.#segment
    this.#segment = undefined
    this.#segmentStartMs = this.#lanes[0]?.endMs ?? 0
    if (segment === undefined) return
    const isVideo = this.#lanes[0]?.track.kind === 'video'
    this.#framesPerSecond = isVideo && segment.durationMs > 0 ? (this.#segmentFrames * 1000) / segment.durationMs : undefined
    segment.complete()
    for (const listener of this.#listeners) listener.segmentEnded(segment)
  }

  /** Makes a part of what the leading track collected and what the others have before its end, or before `beforeMs`. */
  #cutPart(beforeMs = this.#lanes[0]?.endMs): void {
    const [leading, ...others] = this.#lanes
    const frames = leading?.take() ?? []
    const [first] = frames
    if (leading === undefined || first === undefined) return
    const segment = this.#segment ?? this.#openSegment(leading, first)
    const runs = [{ lane: leading, samples: frames }, ...others.map((lane) => ({ lane, samples: lane.take(beforeMs) }))]
    const { chunks, sizeBytes } = writeFragment(
      this.#parts + 1,
      runs.flatMap(({ lane, samples }, index) => {
        const decodeTicks = samples[0]?.decodeTicks
        return decodeTicks === undefined ? [] : [{ trackId: trackIdAt(index), kind: lane.track.kind, decodeTicks, samples }]
      }),
    )
    this.#partTarget.fix()
    const part: Part = {
      segmentSequence: segment.sequence,
      index: segment.parts.length,
      init: segment.init,
      isIndependent: first.isKeyframe,
      startMs: ticksToMs(first.decodeTicks, leading.clockRateHz),
      durationMs: ticksToMs(sumTicks(frames), leading.clockRateHz),
      ntpMs: first.ntpMs,
      sizeBytes,
      chunks,
      stored: {},
    }
    this.#count(part, frames.length)
    segment.add(part)
    for (const listener of this.#listeners) listener.partAdded(part, segment)
  }

  #count(part: Part, frames: number): void {
    this.#parts += 1
    this.#bytes += part.sizeBytes
    this.#segmentFrames += frames
    if (part.durationMs > this.#partTarget.ms) this.#longParts += 1
  }

  #openSegment(leading: Lane, first: LaneSample): LiveSegment {
    // A stale leading track ends this segment: the others change with it, at the next one.
    if (!leading.isStale) this.#adoptOthers()
    const previous = this.#init
    const init = this.#nextInit()
    this.#init = init
    const segment = new LiveSegment({
      sequence: this.#nextSequence,
      init,
      isDiscontinuity: this.#isDiscontinuity || (previous !== undefined && previous !== init),
      ntpMs: first.ntpMs,
      startMs: ticksToMs(first.decodeTicks, leading.clockRateHz),
    })
    this.#segment = segment
    this.#isDiscontinuity = false
    this.#segmentFrames = 0
    this.#nextSequence += 1
    for (const listener of this.#listeners) listener.segmentStarted(segment)
    return segment
  }

  #adoptOthers(): void {
    for (const lane of this.#lanes.slice(1)) this.#droppedUnits += lane.adopt()
  }

  /** The initialization segment for the lanes' tracks: the one in use as long as it fits them. */
  #nextInit(): InitSegment {
    const tracks = this.#lanes.map((lane) => lane.track)
    const current = this.#init
    const isSame = current?.tracks.length === tracks.length && current.tracks.every((track, index) => track === tracks[index])
    if (current !== undefined && isSame) return current
    return { id: (current?.id ?? 0) + 1, bytes: writeInitSegment(tracks), tracks, codecs: codecsOf(tracks) }
  }
}

/** Times that are numbers, and data to store. Anything else would spoil all that follows in its track. */
function isUsable({ data, ptsTicks, dtsTicks, ntpMs }: AccessUnit): boolean {
  const isTimed = Number.isFinite(ptsTicks) && Math.abs(dtsTicks) < 2 ** 52 && Math.abs(ntpMs) <= latestDateMs
  return isTimed && data.length > 0
}

/** ECMA-262 §21.4.1.1 */
const latestDateMs = 8.64e15

function isLarge(lane: Lane): boolean {
  return lane.collectedBytes >= largestPartBytes || lane.collectedCount >= largestPartSamples
}

function sumTicks(samples: readonly LaneSample[]): number {
  return samples.reduce((sum, sample) => sum + sample.durationTicks, 0)
}
