import { randomInt } from 'node:crypto'
import { ticksToMs, type AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { writeBye, writeSenderReport } from '#formats/rtcp/rtcp-packet.ts'
import { packetAt, withChannel, type RtpBatch } from '#formats/rtp/batch.ts'
import { RtpPacketizer } from '#formats/rtp/packetizer.ts'
import { describeTrack, type RtpTrackDescription } from '#formats/rtp/track-description.ts'
import type { ReaderHandle, ReaderSink } from '#live/reader.ts'
import type { LiveStream } from './hub.ts'

/** Fits an Ethernet frame together with IP, UDP and RTP headers, and a tunnel around it. */
const maxPayloadBytes = 1400
/** Wall time that drifts further than this from the stream's timeline is taken on anew. */
const maxWallDriftMs = 1000
const firstDynamicPayloadType = 96
const cname = 'millrace'

/** The feeds of all streams that are read over RTSP; each goes with its stream. */
export class StreamFeeds {
  readonly #feeds = new WeakMap<LiveStream, StreamFeed>()

  of(stream: LiveStream): StreamFeed {
    const known = this.#feeds.get(stream)
    if (known) return known
    const feed = new StreamFeed(stream)
    this.#feeds.set(stream, feed)
    return feed
  }
}

/** The packets of one access unit, shared by all sessions. */
class UnitPackets {
  readonly #batch: RtpBatch
  readonly #channel: number
  #copies: Map<number, Buffer> | undefined
  #datagrams: Buffer[] | undefined

  constructor(batch: RtpBatch, channel: number) {
    this.#batch = batch
    this.#channel = channel
  }

  get byteLength(): number {
    return this.#batch.bytes.length
  }

  /** All packets framed for TCP: the same bytes for every reader on the usual channel, one copy for each other channel. */
  interleaved(channel: number): Buffer {
    if (channel === this.#channel) return this.#batch.bytes
    this.#copies ??= new Map()
    const copy = this.#copies.get(channel) ?? withChannel(this.#batch, channel).bytes
    this.#copies.set(channel, copy)
    return copy
  }

  /** The packets as datagrams: views of the same bytes. */
  get datagrams(): readonly Buffer[] {
    this.#datagrams ??= this.#batch.offsets.map((_offset, index) => packetAt(this.#batch, index))
    return this.#datagrams
  }
}

type Lane = {
  readonly payloadType: number
  readonly packetizer: RtpPacketizer
  /** RTP channel that its batches are framed for. */
  readonly channel: number
  lastPtsTicks: number | undefined
}

/**
 * Turns one stream's access units into RTP packets, once, however many sessions read it: all see the same SSRC and sequence numbers.
 *
 * While anybody reads, the feed is a reader of the stream itself, and the first one: so each unit gets its sequence numbers in the
 * stream's order, also when sessions skip some or get the last group of pictures again.
 */
export class StreamFeed implements ReaderSink {
  readonly bufferedBytes = 0
  readonly #stream: LiveStream
  readonly #lanes = new Map<number, Lane>()
  readonly #packets = new WeakMap<AccessUnit, UnitPackets>()
  #handle: ReaderHandle | undefined
  #sessions = 0
  /** Wall time of the timeline's zero, the same for all tracks, so that sender reports line them up exactly. */
  #wallOffsetMs: number | undefined

  constructor(stream: LiveStream) {
    this.#stream = stream
  }

  /** The stream's tracks as they are sent, with their current parameters. */
  describe(): { trackId: number; description: RtpTrackDescription }[] {
    const { tracks } = this.#stream
    this.#forgetOthers(tracks)
    return tracks.map((track) => ({ trackId: track.id, description: describeTrack(track, this.#laneOf(track).payloadType) }))
  }

  /** Keeps the feed going until disposed of. Throws `STREAM_LIMIT`. */
  join(): Disposable {
    this.#handle ??= this.#stream.addReader({
      peer: { id: `rtsp-feed-${this.#stream.name}`, protocol: 'internal', remoteAddress: 'rtsp' },
      sink: this,
    })
    this.#sessions += 1
    return {
      [Symbol.dispose]: () => {
        this.#sessions -= 1
        if (this.#sessions > 0) return
        this.#handle?.remove()
        this.#handle = undefined
      },
    }
  }

  packetsOf(unit: AccessUnit): UnitPackets {
    const known = this.#packets.get(unit)
    if (known) return known
    const lane = this.#laneOf(unit.track)
    const packets = new UnitPackets(lane.packetizer.packetize(unit, lane.channel), lane.channel)
    this.#packets.set(unit, packets)
    lane.lastPtsTicks = unit.ptsTicks
    this.#followWallTime(unit)
    return packets
  }

  /**
   * SR of a track, RFC 3550 §6.4.1, for the given moment or that of its last unit; `undefined` before the first. A session's first one must
   * be for the first unit that it sends: FFmpeg counts time from there.
   */
  senderReport(trackId: number, ptsTicks?: number): Buffer | undefined {
    const lane = this.#lanes.get(trackId)
    const atTicks = ptsTicks ?? lane?.lastPtsTicks
    if (!lane || atTicks === undefined) return undefined
    const { packetizer } = lane
    return writeSenderReport({
      ssrc: packetizer.ssrc,
      ntpMs: (this.#wallOffsetMs ?? 0) + ticksToMs(atTicks, packetizer.clockRateHz),
      rtpTimestamp: packetizer.rtpTimestampOf(atTicks),
      packetCount: packetizer.packetCount,
      payloadBytes: packetizer.payloadBytes,
      cname,
    })
  }

  /** The sender of a track's packets, as receiver reports name it. */
  ssrcOf(trackId: number): number | undefined {
    return this.#lanes.get(trackId)?.packetizer.ssrc
  }

  /** BYE of a track; `undefined` when it is gone. */
  bye(trackId: number): Buffer | undefined {
    const lane = this.#lanes.get(trackId)
    return lane && writeBye(lane.packetizer.ssrc)
  }

  write(unit: AccessUnit): void {
    this.packetsOf(unit)
  }

  tracksChanged(): void {
    // Lanes that are gone are still needed for the sessions' BYE; `describe` forgets them.
  }

  end(): void {
    this.#handle = undefined
  }

  #laneOf(track: Track): Lane {
    const known = this.#lanes.get(track.id)
    if (known) return known
    const payloadType = this.#freePayloadType(track)
    const packetizer = new RtpPacketizer({
      track,
      payloadType,
      ssrc: randomInt(2 ** 32),
      maxPayloadBytes,
      firstSequenceNumber: randomInt(2 ** 16),
      timestampOffset: randomInt(2 ** 32),
    })
    const index = Math.max(
      0,
      this.#stream.tracks.findIndex(({ id }) => id === track.id),
    )
    const lane: Lane = { payloadType, packetizer, channel: index * 2, lastPtsTicks: undefined }
    this.#lanes.set(track.id, lane)
    return lane
  }

  /** Static types for plain G.711, RFC 3551 §6: some players know no other. */
  #freePayloadType({ parameters }: Track): number {
    const isPlain =
      (parameters.codec === 'pcma' || parameters.codec === 'pcmu') &&
      parameters.sampleRateHz === 8000 &&
      parameters.channelCount === 1
    if (isPlain) return parameters.codec === 'pcmu' ? 0 : 8
    const taken = new Set([...this.#lanes.values()].map((lane) => lane.payloadType))
    let payloadType = firstDynamicPayloadType
    while (taken.has(payloadType)) payloadType += 1
    return payloadType
  }

  #forgetOthers(tracks: readonly Track[]): void {
    for (const id of this.#lanes.keys()) if (!tracks.some((track) => track.id === id)) this.#lanes.delete(id)
  }

  #followWallTime(unit: AccessUnit): void {
    const offsetMs = unit.ntpMs - ticksToMs(unit.ptsTicks, unit.track.clockRateHz)
    if (this.#wallOffsetMs === undefined || Math.abs(offsetMs - this.#wallOffsetMs) > maxWallDriftMs)
      this.#wallOffsetMs = offsetMs
  }
}
