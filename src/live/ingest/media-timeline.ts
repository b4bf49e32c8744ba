import { msToTicks, ticksToMs } from '#formats/media/access-unit.ts'
import { timestampDelta } from '#formats/rtp/serial.ts'

/** Most that synchronization moves a track per unit. */
const maxStepMs = 2
/** Sender reports of two tracks that disagree more than this with their arrival are taken to be wrong: cameras send such. */
const maxCorrectionMs = 3_000

/** A moment of the leading track, known in both times. */
type Anchor = { readonly ms: number; readonly arrivalMs: number }

/**
 * The common timeline of the tracks of one RTP session. RTP timestamps begin anywhere, each track has its own. The first track that shows
 * up leads and begins at 0; another one is put where it arrives, relative to the leading one. When sender reports of both have come,
 * the difference to what they say is made up for slowly.
 */
export class MediaTimeline {
  #leading: TrackTimeline | undefined
  #anchor: Anchor | undefined
  #correctedMs = 0

  /** How far tracks have been moved in all, forward and back, towards what sender reports say. */
  get correctedMs(): number {
    return this.#correctedMs
  }

  addTrack(clockRateHz: number): TrackTimeline {
    const track: TrackTimeline = new TrackTimeline(clockRateHz, {
      alignedMs: (arrivalMs) => this.#alignedMs(track, arrivalMs),
      anchor: (anchor) => {
        if (this.#leading === track) this.#anchor = anchor
      },
      leadingSkewMs: () => (this.#leading === track ? undefined : this.#leading?.skewMs()),
      corrected: (ms) => {
        this.#correctedMs += ms
      },
    })
    return track
  }

  #alignedMs(track: TrackTimeline, arrivalMs: number): number {
    this.#leading ??= track
    this.#anchor ??= { ms: 0, arrivalMs }
    return this.#anchor.ms + arrivalMs - this.#anchor.arrivalMs
  }
}

/** What a track needs of the timeline it is on. */
interface Session {
  /** Where a unit that arrives now belongs, if nothing else is known. */
  alignedMs(arrivalMs: number): number
  anchor(anchor: Anchor): void
  /** Media time minus sender's wall time of the leading track; `undefined` for that track itself, or while not known. */
  leadingSkewMs(): number | undefined
  corrected(ms: number): void
}

/** Presentation times of one track, in its own ticks, on the common timeline. */
export class TrackTimeline {
  readonly #clockRateHz: number
  readonly #session: Session
  #last: { timestamp: number; ticks: number } | undefined
  /** From unwrapped timestamps to the common timeline. */
  #offsetTicks: number | undefined
  #pendingTicks = 0
  #report: { ticks: number; ntpMs: number } | undefined

  constructor(clockRateHz: number, session: Session) {
    this.#clockRateHz = clockRateHz
    this.#session = session
  }

  /** The presentation time of a unit. Jumps of the timestamp, up to half its range, are kept as they are. */
  place(timestamp: number, arrivalMs: number): number {
    const ticks = this.#unwrap(timestamp)
    if (this.#offsetTicks === undefined) this.#align(ticks, arrivalMs)
    return ticks + this.#correctedOffset()
  }

  /** Tells that a unit was sent when it was due: its decode and presentation times are equal, or it is a keyframe. */
  anchor(ptsTicks: number, arrivalMs: number): void {
    this.#session.anchor({ ms: ticksToMs(ptsTicks, this.#clockRateHz), arrivalMs })
  }

  /** Takes a sender report: the RTP timestamp of a moment of the sender's wall time. */
  senderReport(ntpMs: number, timestamp: number): void {
    this.#report = { ticks: this.#unwrap(timestamp), ntpMs }
    this.#pendingTicks = this.#correctionTicks()
  }

  /** Another sender, with timestamps of its own. */
  restart(): void {
    this.#last = undefined
    this.#offsetTicks = undefined
    this.#report = undefined
    this.#pendingTicks = 0
  }

  /** Media time minus sender's wall time; the same for all tracks that are in step. */
  skewMs(): number | undefined {
    if (!this.#report || this.#offsetTicks === undefined) return undefined
    return ticksToMs(this.#report.ticks + this.#offsetTicks, this.#clockRateHz) - this.#report.ntpMs
  }

  #align(ticks: number, arrivalMs: number): void {
    this.#offsetTicks = msToTicks(this.#session.alignedMs(arrivalMs), this.#clockRateHz) - ticks
    this.#offsetTicks += this.#correctionTicks()
  }

  #unwrap(timestamp: number): number {
    const ticks = this.#last ? this.#last.ticks + timestampDelta(this.#last.timestamp, timestamp) : timestamp
    this.#last = { timestamp, ticks }
    return ticks
  }

  #correctionTicks(): number {
    const skewMs = this.skewMs()
    const leadingSkewMs = this.#session.leadingSkewMs()
    if (skewMs === undefined || leadingSkewMs === undefined) return 0
    const correctionMs = leadingSkewMs - skewMs
    return Math.abs(correctionMs) > maxCorrectionMs ? 0 : msToTicks(correctionMs, this.#clockRateHz)
  }

  #correctedOffset(): number {
    const offsetTicks = this.#offsetTicks ?? 0
    if (this.#pendingTicks === 0) return offsetTicks
    const maxStepTicks = msToTicks(maxStepMs, this.#clockRateHz)
    const step = Math.max(-maxStepTicks, Math.min(this.#pendingTicks, maxStepTicks))
    this.#pendingTicks -= step
    this.#offsetTicks = offsetTicks + step
    this.#session.corrected(Math.abs(ticksToMs(step, this.#clockRateHz)))
    return this.#offsetTicks
  }
}
