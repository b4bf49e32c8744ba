import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { parseRtcp, writeReceiverReport } from '#formats/rtcp/rtcp-packet.ts'
import { createDepacketizer } from '#formats/rtp/create-depacketizer.ts'
import type { Depacketizer, FrameSink, PayloadProblem, RtpFrame } from '#formats/rtp/depacketizer.ts'
import { RtpHeader } from '#formats/rtp/header.ts'
import { toTrack, type RtpTrackDescription } from '#formats/rtp/track-description.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { createDecodeClock, type DecodeClock } from './decode-clock.ts'
import type { IngestCounters } from './ingest-counters.ts'
import type { TrackTimeline } from './media-timeline.ts'
import { NtpEstimator } from './ntp-estimator.ts'
import { PacketOrder, type OrderedSink } from './packet-order.ts'
import { ReceptionReport } from './reception-report.ts'

/** Name in our receiver reports; it tells nothing of the machine. */
const cname = 'millrace'

/** What a track receiver is given by the receiver of the session. */
export type TrackReceiverOptions = {
  readonly id: number
  readonly description: RtpTrackDescription
  readonly isReordering: boolean
  readonly clock: Clock
  readonly counters: IngestCounters
  readonly timeline: TrackTimeline
  readonly onUnit: (unit: AccessUnit) => void
}

/**
 * One track of an RTP session: packets in, access units out.
 *
 *   header ─► payload type, sender ─► order ─► depacketizer ─► times ─► unit
 */
export class TrackReceiver implements OrderedSink, FrameSink {
  readonly isVideo: boolean
  readonly #options: TrackReceiverOptions
  readonly #counters: IngestCounters
  readonly #header = new RtpHeader()
  readonly #order: PacketOrder
  readonly #depacketizer: Depacketizer
  readonly #report: ReceptionReport
  readonly #decodeClock: DecodeClock
  readonly #ntp: NtpEstimator
  #ssrc: number | undefined
  /** A packet of another sender; when the next one follows it, the sender has changed. */
  #newcomer: { ssrc: number; nextSequence: number } | undefined
  #track: Track | undefined
  #parameters: Depacketizer['parameters'] | undefined

  constructor(options: TrackReceiverOptions) {
    const { description, counters, isReordering } = options
    this.isVideo = description.kind === 'video'
    this.#options = options
    this.#counters = counters
    this.#order = new PacketOrder(this, { isReordering })
    this.#depacketizer = createDepacketizer(description, this)
    this.#report = new ReceptionReport(description.clockRateHz)
    this.#decodeClock = createDecodeClock(description)
    this.#ntp = new NtpEstimator(description.clockRateHz)
  }

  /** The track with the parameters of now; `undefined` while a parameter set is missing. */
  get track(): Track | undefined {
    const { parameters } = this.#depacketizer
    if (parameters === this.#parameters) return this.#track
    this.#parameters = parameters
    this.#track = toTrack({ ...this.#options.description, parameters }, this.#options.id)
    if (this.#track) this.#decodeClock.configure(this.#track.parameters)
    return this.#track
  }

  rtp(packet: Buffer, arrivalMs: number): boolean {
    const header = this.#header
    const problem = header.read(packet)
    if (problem) return this.#refuse(problem)
    if (header.payloadType !== this.#options.description.payloadType) return this.#refuse('payload-type')
    if (header.ssrc !== this.#ssrc && !this.#isNewSender(header)) return this.#refuse('ssrc')
    this.#report.receive(header.sequenceNumber, header.timestamp, arrivalMs)
    this.#order.push(packet, header.sequenceNumber, arrivalMs)
    return true
  }

  rtcp(packet: Buffer): void {
    try {
      for (const part of parseRtcp(packet)) {
        if (part.kind !== 'sender-report' || (this.#ssrc !== undefined && part.ssrc !== this.#ssrc)) continue
        this.#report.senderReport(part.ntp.middle, this.#options.clock.monotonicMs())
        this.#options.timeline.senderReport(part.ntp.ms, part.rtpTimestamp)
      }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      this.#counters.problem('rtcp')
    }
  }

  receiverReport(): Buffer | undefined {
    if (this.#ssrc === undefined) return undefined
    const report = this.#report.take(this.#ssrc, this.#options.clock.monotonicMs())
    // Any number but the sender's own will do for us: there are only two of us in the session.
    return report && writeReceiverReport({ ssrc: (this.#ssrc + 1) % 2 ** 32, cname, reports: [report] })
  }

  deliver(packet: Buffer, arrivalMs: number): void {
    // The header object is shared, and a held packet is delivered after others were read: this one is read again, for about 20 ns.
    this.#header.read(packet)
    this.#depacketizer.push(packet, this.#header, arrivalMs)
  }

  missing(packets: number): void {
    if (packets > 0) this.#counters.lost(packets)
    this.#depacketizer.gap()
  }

  late(): void {
    this.#counters.latePackets += 1
  }

  frame(frame: RtpFrame): void {
    const { track } = this
    if (!track) {
      this.#counters.droppedUnits += 1
      return
    }
    const { timeline, clock, onUnit } = this.#options
    const placedTicks = timeline.place(frame.timestamp, frame.arrivalMs)
    const dtsTicks = this.#decodeClock.next(placedTicks, frame.data)
    if (dtsTicks > placedTicks) this.#counters.repairedTimestamps += 1
    const ptsTicks = Math.max(placedTicks, dtsTicks)
    if (ptsTicks === dtsTicks || frame.isKeyframe) timeline.anchor(ptsTicks, frame.arrivalMs)
    const ntpMs = this.#ntp.estimateMs(ptsTicks, clock.nowMs())
    onUnit({ track, ptsTicks, dtsTicks, ntpMs, isKeyframe: frame.isKeyframe, data: frame.data })
  }

  problem(reason: PayloadProblem): void {
    this.#counters.problem(reason)
  }

  discarded(): void {
    this.#counters.damagedUnits += 1
  }

  #refuse(reason: Parameters<IngestCounters['problem']>[0]): false {
    this.#counters.problem(reason)
    return false
  }

  /** The first sender is taken as it comes; another one when two of its packets in a row have come. */
  #isNewSender({ ssrc, sequenceNumber }: RtpHeader): boolean {
    const isFirst = this.#ssrc === undefined
    if (!isFirst && (this.#newcomer?.ssrc !== ssrc || this.#newcomer.nextSequence !== sequenceNumber)) {
      this.#newcomer = { ssrc, nextSequence: (sequenceNumber + 1) & 0xffff }
      return false
    }
    this.#ssrc = ssrc
    this.#newcomer = undefined
    if (isFirst) return true
    this.#counters.senderChanges += 1
    this.#order.restart()
    this.#report.restart()
    this.#options.timeline.restart()
    this.#depacketizer.gap()
    return true
  }
}
