import type { PayloadProblem } from '#formats/rtp/depacketizer.ts'
import type { RtpHeaderProblem } from '#formats/rtp/header.ts'

/** Why a packet was not used. */
export type IngestProblem =
  | RtpHeaderProblem
  | PayloadProblem
  /** Another payload type than the track's. */
  | 'payload-type'
  /** A packet of another sender, until a second one shows that the sender changed. */
  | 'ssrc'
  /** No such track. */
  | 'track'
  | 'rtcp'

/** What came in, over all tracks of a receiver, since it began. */
export type IngestStats = {
  readonly packets: number
  readonly bytes: number
  /** Access units handed on. */
  readonly units: number
  readonly lostPackets: number
  /** Came twice, or too late to be put in order. */
  readonly latePackets: number
  /** Units thrown away because a part of them was lost or unusable. */
  readonly damagedUnits: number
  /** Whole units not handed on: before the tracks were announced, or of a track that could not be. */
  readonly droppedUnits: number
  /** Timestamps moved because they did not fit the order of the units. */
  readonly repairedTimestamps: number
  readonly senderChanges: number
  /** How far tracks were moved towards what sender reports say. */
  readonly correctedMs: number
  readonly problems: Readonly<Partial<Record<IngestProblem, number>>>
}

/** The figures while they are counted. */
export class IngestCounters {
  packets = 0
  bytes = 0
  units = 0
  lostPackets = 0
  latePackets = 0
  damagedUnits = 0
  droppedUnits = 0
  repairedTimestamps = 0
  senderChanges = 0
  readonly #problems: Partial<Record<IngestProblem, number>> = {}
  readonly #onLoss: (packets: number) => void

  /** `onLoss` hears of each packet that is lost or cannot be used. */
  constructor(onLoss: (packets: number) => void) {
    this.#onLoss = onLoss
  }

  lost(packets: number): void {
    this.lostPackets += packets
    this.#onLoss(packets)
  }

  problem(reason: IngestProblem): void {
    this.#problems[reason] = (this.#problems[reason] ?? 0) + 1
    this.#onLoss(1)
  }

  snapshot(correctedMs: number): IngestStats {
    const { packets, bytes, units, lostPackets, latePackets, damagedUnits, droppedUnits, repairedTimestamps, senderChanges } =
      this
    const counted = {
      packets,
      bytes,
      units,
      lostPackets,
      latePackets,
      damagedUnits,
      droppedUnits,
      repairedTimestamps,
      senderChanges,
    }
    return { ...counted, correctedMs, problems: { ...this.#problems } }
  }
}
