import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import type { RtpTrackDescription } from '#formats/rtp/track-description.ts'
import type { Clock } from '#lib/clock.ts'
import { IngestCounters, type IngestStats } from './ingest-counters.ts'
import { MediaTimeline } from './media-timeline.ts'
import { TrackGate } from './track-gate.ts'
import { TrackReceiver } from './track-receiver.ts'

export type RtpReceiverOptions = {
  /** In the order of the session; a track's index here is its `trackIndex` below and its `Track.id`. */
  readonly tracks: readonly RtpTrackDescription[]
  readonly clock: Clock
  /** True over UDP: packets may overtake each other, so gaps wait a moment. */
  readonly isReordering: boolean
  /** Once, before the first unit, with the tracks whose parameters are known. */
  readonly onTracks: (tracks: readonly Track[]) => void
  /**
   * A complete access unit. All tracks share one timeline that begins near 0. Parameters that change within the stream come as another
   * `unit.track` with the same id.
   */
  readonly onUnit: (unit: AccessUnit) => void
  /** So many packets were lost, or could not be used. */
  readonly onLoss: (packets: number) => void
}

/**
 * The receiving end of an RTP session: packets of all tracks in, access units out, synchronously. Shared by whoever speaks RTSP, on either
 * side. Bad packets are counted by reason in `stats` and never end anything.
 *
 * H.264 of 4 Mbit/s in packets of 1200 bytes costs 0.3 to 0.4 µs per packet, over TCP and UDP alike: 100 streams take 1.3 to 1.8 % of a
 * 2.5 GHz core, without the sockets. An AAC frame costs 0.6 to 1.0 µs, most of it its buffer (`bench/rtp.ts`, on a loaded machine).
 */
export class RtpReceiver {
  readonly #clock: Clock
  readonly #counters: IngestCounters
  readonly #timeline = new MediaTimeline()
  readonly #tracks: readonly TrackReceiver[]
  readonly #gate: TrackGate
  #isClosed = false

  constructor({ tracks, clock, isReordering, onTracks, onUnit, onLoss }: RtpReceiverOptions) {
    this.#clock = clock
    const counters = new IngestCounters(onLoss)
    this.#counters = counters
    this.#tracks = tracks.map((description, id) => {
      const timeline = this.#timeline.addTrack(description.clockRateHz)
      const accept = (unit: AccessUnit): void => {
        if (!this.#isClosed) this.#gate.accept(unit)
      }
      return new TrackReceiver({ id, description, isReordering, clock, counters, timeline, onUnit: accept })
    })
    this.#gate = new TrackGate({ candidates: this.#tracks, counters, onTracks, onUnit })
  }

  get stats(): IngestStats {
    return this.#counters.snapshot(this.#timeline.correctedMs)
  }

  /**
   * Takes an RTP packet. `packet` is not kept, except while `isReordering`: then its bytes must stay as they are. `arrivalMs` is the
   * clock's monotonic time, once per socket read. Never throws.
   */
  rtp(trackIndex: number, packet: Buffer, arrivalMs = this.#clock.monotonicMs()): void {
    if (this.#isClosed) return
    this.#counters.packets += 1
    this.#counters.bytes += packet.length
    const track = this.#tracks[trackIndex]
    if (!track) this.#counters.problem('track')
    else if (track.rtp(packet, arrivalMs)) this.#gate.poll(arrivalMs)
  }

  /** Takes a compound RTCP packet. Never throws. */
  rtcp(trackIndex: number, packet: Buffer): void {
    if (this.#isClosed) return
    const track = this.#tracks[trackIndex]
    if (track) track.rtcp(packet)
    else this.#counters.problem('track')
  }

  /** A receiver report about a track, to be sent every few seconds; `undefined` before its first packet. */
  receiverReport(trackIndex: number): Buffer | undefined {
    return this.#tracks[trackIndex]?.receiverReport()
  }

  /** Nothing is taken or handed on any more; units that are not complete are dropped. Idempotent. */
  close(): void {
    this.#isClosed = true
  }
}
