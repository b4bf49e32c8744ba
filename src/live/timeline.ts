import type { AccessUnit } from '#formats/media/access-unit.ts'
import { ticksToMs } from '#formats/media/access-unit.ts'

/**
 * The one timeline of a stream. Sources come and go, each with its own zero; readers see decode times that only grow.
 *
 *   source time ──(+ offset of the publication)──► stream time
 *
 * A publication is anchored by its first unit: stream time goes on by the wall time that passed since the last unit. Within a publication
 * the offset is constant, so frame distances stay exact. Cameras jump: a step back by more than 0.5 s, or forward by 5 s more than the
 * wall clock, is a jump. A jumping unit is put one frame after the one before it; when `unitsToTrustJump` units in a row agree on the new
 * time, the offset moves and the source is believed again. A single stray timestamp therefore costs nothing.
 */
const startMs = 10_000
const backwardJumpMs = 500
const forwardJumpMs = 5_000
const unitsToTrustJump = 3
/** Tracks that jump by the same step within this time moved together and keep their distance to each other. */
const commonJumpMs = 10_000

type Stamp = { ptsTicks: number; dtsTicks: number }

type TrackClock = {
  readonly rateHz: number
  offsetTicks: number
  /** The last trusted source time, and when it arrived. */
  lastSourceTicks: number | undefined
  lastArrivalMs: number
  /** A plausible distance to the next unit. */
  frameTicks: number
  /** Where a jump seems to lead: the last jumped source time, and how many units agreed. */
  jump: { sourceTicks: number; agreed: number } | undefined
}

export class Timeline {
  /** Last decode time given out, per stream track id; survives publications. */
  readonly #lastOutTicks = new Map<number, number>()
  #tracks = new Map<number, TrackClock>()
  #lastOutMs: number | undefined
  #lastArrivalMs = 0
  #offsetMs: number | undefined
  #lastShift: { ms: number; atMs: number } | undefined
  #jumps = 0

  /** Timestamps that jumped and were re-anchored, since the stream began. */
  get jumps(): number {
    return this.#jumps
  }

  /** A new publication feeds the stream: its first unit anchors it. */
  begin(): void {
    this.#tracks = new Map()
    this.#offsetMs = undefined
    this.#lastShift = undefined
  }

  /** Stream time of a source unit, for stream track `trackId`; `arrivalMs` is monotonic. Undefined: too late to fit, leave the unit out. */
  map(unit: AccessUnit, trackId: number, arrivalMs: number): Stamp | undefined {
    const rateHz = unit.track.clockRateHz
    this.#offsetMs ??= this.#anchorMs(arrivalMs) - ticksToMs(unit.dtsTicks, rateHz)
    const track = this.#trackClock(trackId, rateHz, this.#offsetMs)
    const sourceTicks = this.#trusted(track, unit.dtsTicks, arrivalMs)
    const dtsTicks = this.#growing(trackId, track, sourceTicks + track.offsetTicks)
    if (dtsTicks === undefined) return undefined
    this.#lastOutTicks.set(trackId, dtsTicks)
    this.#lastOutMs = Math.max(this.#lastOutMs ?? 0, ticksToMs(dtsTicks, rateHz))
    this.#lastArrivalMs = arrivalMs
    return { dtsTicks, ptsTicks: dtsTicks + Math.max(0, unit.ptsTicks - unit.dtsTicks) }
  }

  /** Where the next publication begins on the stream's timeline. */
  #anchorMs(arrivalMs: number): number {
    if (this.#lastOutMs === undefined) return startMs
    return this.#lastOutMs + Math.max(1, arrivalMs - this.#lastArrivalMs)
  }

  #trackClock(trackId: number, rateHz: number, offsetMs: number): TrackClock {
    const known = this.#tracks.get(trackId)
    if (known) return known
    const track: TrackClock = {
      rateHz,
      offsetTicks: Math.round((offsetMs * rateHz) / 1000),
      lastSourceTicks: undefined,
      lastArrivalMs: 0,
      frameTicks: Math.round(rateHz / 25),
      jump: undefined,
    }
    this.#tracks.set(trackId, track)
    return track
  }

  /** The source time to believe: the unit's own, or one frame after the last while a jump is not yet confirmed. */
  #trusted(track: TrackClock, sourceTicks: number, arrivalMs: number): number {
    const last = track.lastSourceTicks
    const elapsedMs = arrivalMs - track.lastArrivalMs
    track.lastArrivalMs = arrivalMs
    if (last === undefined || !isJump(ticksToMs(sourceTicks - last, track.rateHz), elapsedMs)) {
      if (last !== undefined && sourceTicks > last) track.frameTicks = Math.min(sourceTicks - last, track.rateHz)
      track.jump = undefined
      track.lastSourceTicks = sourceTicks
      return sourceTicks
    }
    this.#jumps += 1
    const isAgreed = track.jump !== undefined && !isJump(ticksToMs(sourceTicks - track.jump.sourceTicks, track.rateHz), elapsedMs)
    track.jump = { sourceTicks, agreed: isAgreed && track.jump ? track.jump.agreed + 1 : 1 }
    const expected = last + track.frameTicks
    if (track.jump.agreed < unitsToTrustJump) {
      track.lastSourceTicks = expected
      return expected
    }
    this.#moveOffset(track, expected - sourceTicks, arrivalMs)
    track.jump = undefined
    track.lastSourceTicks = sourceTicks
    return sourceTicks
  }

  #moveOffset(track: TrackClock, shiftTicks: number, arrivalMs: number): void {
    const shiftMs = ticksToMs(shiftTicks, track.rateHz)
    const common = this.#lastShift
    const isCommon =
      common !== undefined && arrivalMs - common.atMs < commonJumpMs && Math.abs(common.ms - shiftMs) < backwardJumpMs
    if (!isCommon) this.#lastShift = { ms: shiftMs, atMs: arrivalMs }
    track.offsetTicks += isCommon ? Math.round((common.ms * track.rateHz) / 1000) : shiftTicks
  }

  /** Equal and slightly late times move up by a tick; a unit later than that is left out. */
  #growing(trackId: number, track: TrackClock, dtsTicks: number): number | undefined {
    const last = this.#lastOutTicks.get(trackId)
    if (last === undefined) return dtsTicks < 0 ? undefined : dtsTicks
    if (dtsTicks > last) return dtsTicks
    return ticksToMs(last - dtsTicks, track.rateHz) <= backwardJumpMs ? last + 1 : undefined
  }
}

function isJump(stepMs: number, elapsedMs: number): boolean {
  return stepMs < -backwardJumpMs || stepMs > forwardJumpMs + elapsedMs
}
