import type { AccessUnit } from '#formats/media/access-unit.ts'
import { ticksToMs } from '#formats/media/access-unit.ts'
import type { StreamHealth } from './status.ts'

const bucketMs = 1000
const bucketCount = 6
const keyframesKept = 6

type Bucket = { second: number; bytes: number; frames: number }

/** What the counters of other parts add to a stream's figures. */
export type HealthCounters = Pick<StreamHealth, 'timestampJumps' | 'reconnects' | 'droppedUnits'>

/** Counts a stream's units. Rates are over the last five whole seconds: steady enough to read, fresh enough to alarm. */
export class HealthMeter {
  readonly #buckets: Bucket[] = []
  readonly #keyframeMs: number[] = []
  #receivedUnits = 0
  #receivedBytes = 0
  #lostPackets = 0
  #outages = 0
  #lastUnitMs: number | undefined

  /** Monotonic time of the last unit; undefined before the first. */
  get lastUnitMs(): number | undefined {
    return this.#lastUnitMs
  }

  unit(unit: AccessUnit, nowMs: number): void {
    this.#receivedUnits += 1
    this.#receivedBytes += unit.data.length
    this.#lastUnitMs = nowMs
    const bucket = this.#bucket(Math.floor(nowMs / bucketMs))
    bucket.bytes += unit.data.length
    if (unit.track.kind !== 'video') return
    bucket.frames += 1
    if (!unit.isKeyframe) return
    this.#keyframeMs.push(ticksToMs(unit.dtsTicks, unit.track.clockRateHz))
    if (this.#keyframeMs.length > keyframesKept) this.#keyframeMs.shift()
  }

  loss(packets: number): void {
    this.#lostPackets += packets
  }

  outage(): void {
    this.#outages += 1
    this.#keyframeMs.length = 0
  }

  read(nowMs: number, others: HealthCounters): StreamHealth {
    const thisSecond = Math.floor(nowMs / bucketMs)
    const whole = this.#buckets.filter(({ second }) => second < thisSecond && second >= thisSecond - (bucketCount - 1))
    const seconds = Math.max(1, thisSecond - Math.min(...whole.map(({ second }) => second)))
    const sum = (of: (bucket: Bucket) => number): number => whole.reduce((total, bucket) => total + of(bucket), 0)
    const [first] = this.#keyframeMs
    const last = this.#keyframeMs.at(-1)
    return {
      bitrateKbps: whole.length === 0 ? 0 : Math.round((sum(({ bytes }) => bytes) * 8) / 1000 / seconds),
      framesPerSecond: whole.length === 0 ? 0 : Math.round((sum(({ frames }) => frames) / seconds) * 10) / 10,
      ...(this.#keyframeMs.length > 1 && first !== undefined && last !== undefined
        ? { keyframeIntervalMs: Math.round((last - first) / (this.#keyframeMs.length - 1)) }
        : {}),
      ...(this.#lastUnitMs === undefined ? {} : { lastUnitAgeMs: Math.round(nowMs - this.#lastUnitMs) }),
      receivedUnits: this.#receivedUnits,
      receivedBytes: this.#receivedBytes,
      lostPackets: this.#lostPackets,
      outages: this.#outages,
      ...others,
    }
  }

  #bucket(second: number): Bucket {
    const last = this.#buckets.at(-1)
    if (last && last.second === second) return last
    const bucket = { second, bytes: 0, frames: 0 }
    this.#buckets.push(bucket)
    if (this.#buckets.length > bucketCount) this.#buckets.shift()
    return bucket
  }
}
