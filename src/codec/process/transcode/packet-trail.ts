import { AV_NOPTS_VALUE, AV_PKT_FLAG_DISCARD } from 'node-av/constants'
import type { Packet, Stream } from 'node-av/lib'
import { AppError } from '#lib/errors.ts'

/** Longer films than this are not described; it bounds memory to 400 MB. */
const maxPackets = 50_000_000

/** What the packets of one track were, in ticks of its stream. */
export class PacketTrail {
  readonly #tickMs: number
  #times = new Float64Array(1024)
  #count = 0
  #endTicks = -Infinity
  #startTicks = Infinity
  #hasUntimed = false
  #hiddenCount = 0
  /** Times of the keyframes, as they came. */
  readonly keyframes: number[] = []

  constructor({ timeBase }: Stream) {
    this.#tickMs = (timeBase.num * 1000) / timeBase.den
  }

  add(packet: Packet): void {
    // Before an edit list's start: decoded, never shown.
    if (packet.hasFlags(AV_PKT_FLAG_DISCARD)) this.#hiddenCount += 1
    else this.#show(packet)
  }

  /** All packets, also those that are never shown. */
  get readCount(): number {
    return this.#count + this.#hiddenCount
  }

  /** Packets that are shown. */
  get packetCount(): number {
    return this.#count
  }

  /** Milliseconds of one tick. */
  get tickMs(): number {
    return this.#tickMs
  }

  /** Times of all packets, in the order in which they are shown. */
  get shownTicks(): Float64Array {
    return this.#times.subarray(0, this.#count).toSorted()
  }

  get startMs(): number {
    return this.#startTicks * this.#tickMs
  }

  get endTicks(): number {
    return this.#endTicks
  }

  /** End of the packet that is shown last. */
  get endMs(): number {
    return this.#endTicks * this.#tickMs
  }

  /** Whether a packet had no time to be shown. */
  get hasUntimed(): boolean {
    return this.#hasUntimed
  }

  /** A packet without a time of its own is taken to follow the one before it. */
  #ticksOf({ pts, dts }: Packet): number {
    if (pts !== AV_NOPTS_VALUE) return Number(pts)
    this.#hasUntimed = true
    if (dts !== AV_NOPTS_VALUE) return Number(dts)
    return this.#count === 0 ? 0 : this.#endTicks
  }

  #show(packet: Packet): void {
    if (this.#count >= maxPackets)
      throw new AppError('LIMIT_EXCEEDED', `a track of the source has more than ${maxPackets} packets`)
    const ticks = this.#ticksOf(packet)
    if (this.#count === this.#times.length) this.#grow()
    this.#times[this.#count] = ticks
    this.#count += 1
    this.#startTicks = Math.min(this.#startTicks, ticks)
    this.#endTicks = Math.max(this.#endTicks, ticks + Number(packet.duration))
    if (packet.isKeyframe) this.keyframes.push(ticks)
  }

  #grow(): void {
    const larger = new Float64Array(this.#times.length * 2)
    larger.set(this.#times)
    this.#times = larger
  }
}
