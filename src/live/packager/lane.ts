import { ticksToMs, type AccessUnit } from '#formats/media/access-unit.ts'
import { sameParameters, type Track } from '#formats/media/track.ts'
import type { FragmentSample } from '#formats/mp4/fragment.ts'
import { isDescribable } from '#formats/mp4/sample-entry.ts'

/** A frame whose duration is known. */
export type LaneSample = FragmentSample & { readonly decodeTicks: number; readonly ntpMs: number; readonly track: Track }

type Held = { readonly unit: AccessUnit; readonly track: Track; readonly decodeTicks: number }

const longestDurationTicks = 2 ** 32 - 1
const largestOffsetTicks = 2 ** 31 - 1

/**
 * One track's way through the packager. It holds back one access unit until the next one tells how long it lasts, and collects the
 * frames before it. Decode times strictly grow and start at 0 or above, whatever the access units say; each correction is counted.
 */
export class Lane {
  #track: Track
  #latest: Track
  #refused: Track | undefined
  #held: Held | undefined
  #samples: LaneSample[] = []
  #collectedTicks = 0
  #collectedBytes = 0
  /** End and duration of the last frame that was released, in ticks of `#clockRateHz`. */
  #endTicks = 0
  #lastDurationTicks: number | undefined
  #clockRateHz: number
  #correctedCount = 0

  /** Decode times are not before `notBeforeMs`, where the track's predecessor ended. */
  constructor(track: Track, { notBeforeMs }: { notBeforeMs: number }) {
    this.#track = track
    this.#latest = track
    this.#clockRateHz = track.clockRateHz
    this.#endTicks = Math.ceil((notBeforeMs * track.clockRateHz) / 1000)
  }

  /** What the initialization segment says of the track. */
  get track(): Track {
    return this.#track
  }
  /** Newer access units need another initialization segment. */
  get isStale(): boolean {
    return this.#latest !== this.#track
  }
  /** Of the access units that come in; the initialization segment's as long as it is not stale. */
  get clockRateHz(): number {
    return this.#clockRateHz
  }
  /** Decode time of the access unit that waits for the next one. */
  get heldMs(): number {
    return ticksToMs(this.#held?.decodeTicks ?? this.#endTicks, this.#clockRateHz)
  }
  get collectedCount(): number {
    return this.#samples.length
  }
  get collectedMs(): number {
    return ticksToMs(this.#collectedTicks, this.#clockRateHz)
  }
  get collectedBytes(): number {
    return this.#collectedBytes
  }
  /** How long a frame probably lasts: as long as the one before it. */
  get nominalTicks(): number {
    return this.#lastDurationTicks ?? firstGuessTicks(this.#latest, this.#held?.unit.data.length ?? 0)
  }
  /** End of the last collected frame, milliseconds on the stream's timeline. */
  get endMs(): number {
    return ticksToMs(this.#endTicks, this.#clockRateHz)
  }
  /** Access units whose times had to be changed. */
  get correctedCount(): number {
    return this.#correctedCount
  }

  /** Takes note of the parameters that an access unit comes with. False: no decoder can use them, and so neither the access unit. */
  meet(track: Track): boolean {
    if (track === this.#latest) return true
    if (track === this.#refused) return false
    if (isSameSetUp(track, this.#track)) {
      this.#latest = this.#track
    } else if (!isSameSetUp(track, this.#latest)) {
      if (isDescribable(track.parameters)) this.#latest = track
      else this.#refused = track
    }
    return track !== this.#refused
  }

  /** The initialization segment follows the newest parameters: frames that do not fit it are dropped. Returns how many. */
  adopt(): number {
    this.#track = this.#latest
    return this.#keep((sample) => sample.track === this.#track)
  }

  /** Drops frames that start before `beforeMs`, the held one too. Returns how many. */
  dropBefore(beforeMs: number): number {
    const isHeldEarly = this.#held !== undefined && this.heldMs < beforeMs
    if (isHeldEarly) this.#held = undefined
    return (isHeldEarly ? 1 : 0) + this.#keep(({ decodeTicks, track }) => ticksToMs(decodeTicks, track.clockRateHz) >= beforeMs)
  }

  /** How long the held access unit lasts when `next` follows it: at least one tick. */
  ticksUntil(next: AccessUnit): number {
    if (this.#held === undefined || next.track.clockRateHz !== this.#clockRateHz) return this.nominalTicks
    const ticks = Math.round(next.dtsTicks) - this.#held.decodeTicks
    return Math.min(Math.max(ticks, 1), longestDurationTicks)
  }

  msUntil(next: AccessUnit): number {
    return ticksToMs(this.ticksUntil(next), this.#clockRateHz)
  }

  /** Collects the held access unit, if there is one. */
  release(durationTicks = this.nominalTicks): void {
    if (this.#held === undefined) return
    const { unit, track, decodeTicks } = this.#held
    this.#held = undefined
    const offsetTicks = Math.min(Math.max(Math.round(unit.ptsTicks) - decodeTicks, 0), largestOffsetTicks)
    if (decodeTicks !== unit.dtsTicks || decodeTicks + offsetTicks !== unit.ptsTicks) this.#correctedCount += 1
    this.#lastDurationTicks = durationTicks
    this.#endTicks = decodeTicks + durationTicks
    const { data, isKeyframe, ntpMs } = unit
    this.#collect({ data, durationTicks, compositionOffsetTicks: offsetTicks, isKeyframe, decodeTicks, ntpMs, track })
  }

  /** Holds an access unit; the one before must have been released. It may have another clock rate. */
  hold(unit: AccessUnit): void {
    if (unit.track.clockRateHz !== this.#clockRateHz) {
      this.#endTicks = Math.ceil((this.endMs * unit.track.clockRateHz) / 1000)
      this.#clockRateHz = unit.track.clockRateHz
      this.#lastDurationTicks = undefined
    }
    this.#held = { unit, track: this.#latest, decodeTicks: Math.max(Math.round(unit.dtsTicks), this.#endTicks) }
  }

  /** Collects the held access unit if it starts before `beforeMs`, as when nothing will follow it on this timeline. */
  releaseBefore(beforeMs: number): void {
    if (this.#held !== undefined && this.heldMs < beforeMs) this.release()
  }

  /** Hands out the collected frames that start before `beforeMs`, up to the first hole and the first with other parameters. */
  take(beforeMs = Infinity): LaneSample[] {
    const limitTicks = (beforeMs * this.#track.clockRateHz) / 1000
    let count = 0
    let endTicks: number | undefined
    for (const { decodeTicks, durationTicks, data, track } of this.#samples) {
      const isHole = endTicks !== undefined && decodeTicks !== endTicks
      if (isHole || decodeTicks >= limitTicks || track !== this.#track) break
      endTicks = decodeTicks + durationTicks
      this.#collectedTicks -= durationTicks
      this.#collectedBytes -= data.length
      count += 1
    }
    return this.#samples.splice(0, count)
  }

  #keep(isKept: (sample: LaneSample) => boolean): number {
    const kept = this.#samples.filter(isKept)
    const dropped = this.#samples.length - kept.length
    if (dropped === 0) return 0
    this.#samples = []
    this.#collectedTicks = 0
    this.#collectedBytes = 0
    for (const sample of kept) this.#collect(sample)
    return dropped
  }

  #collect(sample: LaneSample): void {
    this.#samples.push(sample)
    this.#collectedTicks += sample.durationTicks
    this.#collectedBytes += sample.data.length
  }
}

function isSameSetUp(a: Track, b: Track): boolean {
  return a.clockRateHz === b.clockRateHz && sameParameters(a.parameters, b.parameters)
}

/** Duration of a frame that nothing follows and nothing came before. */
function firstGuessTicks({ parameters, clockRateHz }: Track, sizeBytes: number): number {
  switch (parameters.codec) {
    case 'h264':
    case 'h265':
      return Math.max(1, Math.round(clockRateHz / 25))
    case 'aac':
      return 1024
    case 'opus':
      return 960
    case 'pcma':
    case 'pcmu':
      return Math.max(1, Math.floor(sizeBytes / Math.max(1, parameters.channelCount)))
    default:
      return parameters satisfies never
  }
}
