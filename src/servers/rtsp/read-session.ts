import { randomBytes } from 'node:crypto'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import { isVideoCodec, sameParameters, type Track } from '#formats/media/track.ts'
import { parseRtcp, type ReportBlock } from '#formats/rtcp/rtcp-packet.ts'
import type { Transport } from '#formats/rtsp/transport.ts'
import { AppError } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import type { Peer } from '#live/peer.ts'
import type { ReaderHandle, ReaderSink } from '#live/reader.ts'
import type { MediaLink, RtspContext, RtspSession, TrackTransport } from './context.ts'
import type { LiveStream } from './hub.ts'
import type { StreamFeed } from './stream-feed.ts'
import { answerTransport, chooseTransport, sendRtcp } from './track-transport.ts'
import { UdpPacer } from './udp-pacer.ts'

const senderReportIntervalMs = 10_000

type ReadTrack = {
  /** As the reader knows it; new parameter sets of a video go to it in band. */
  track: Track
  readonly transport: TrackTransport
  readonly registration: Disposable | undefined
  /** The sender report that lets the player line up its tracks has been sent. */
  hasReport: boolean
  /** `cumulativeLost` of the reader's last report. */
  reportedLost: number
}

type State =
  | { readonly kind: 'ready' }
  | { readonly kind: 'playing'; readonly handle: ReaderHandle; readonly feed: Disposable }
  | { readonly kind: 'closed' }

/**
 * One reader of a stream.
 *
 *   ready ──play──► playing ──pause──► ready;   any ──close──► closed
 */
export class ReadSession implements RtspSession, ReaderSink {
  readonly kind = 'read'
  readonly id = randomBytes(16).toString('hex')
  readonly #context: RtspContext
  readonly #stream: LiveStream
  readonly #feed: StreamFeed
  readonly #link: MediaLink
  readonly #log: Logger
  readonly #peer: Peer
  readonly #tracks = new Map<number, ReadTrack>()
  readonly #pacer: UdpPacer
  #state: State = { kind: 'ready' }
  /** What must not be sent before the answer to PLAY. */
  #held: AccessUnit[] | undefined
  #lastSeenMs: number
  #lastReportMs = -Infinity

  constructor({ context, stream, link }: { context: RtspContext; stream: LiveStream; link: MediaLink }) {
    this.#context = context
    this.#stream = stream
    this.#feed = context.feeds.of(stream)
    this.#link = link
    this.#lastSeenMs = context.clock.monotonicMs()
    this.#peer = {
      id: `rtsp-${newId(context.clock.nowMs())}`,
      protocol: 'rtsp',
      remoteAddress: link.remoteAddress,
      ...(link.userAgent === undefined ? {} : { userAgent: link.userAgent }),
    }
    this.#log = context.log.child({ stream: stream.name, reader: this.#peer.id, remoteAddress: link.remoteAddress })
    this.#pacer = new UdpPacer((packet, port) => {
      context.udp.sendRtp(packet, port, link.remoteHost)
    })
    context.sessions.set(this.id, this)
  }

  get streamName(): string {
    return this.#stream.name
  }
  get remoteHost(): string {
    return this.#link.remoteHost
  }
  get isActive(): boolean {
    return this.#state.kind === 'playing'
  }
  get isOverUdp(): boolean {
    return [...this.#tracks.values()][0]?.transport.kind === 'udp'
  }
  get bufferedBytes(): number {
    return this.isOverUdp ? this.#pacer.queuedBytes : this.#link.bufferedBytes
  }

  /** Adds a track; without an id, the first that is not set up. Throws `STREAM_NOT_FOUND`, `RTSP_STATE_INVALID`, `RTSP_TRANSPORT_UNSUPPORTED`. */
  setup(trackId: number | undefined, offers: readonly Transport[]): Transport {
    if (this.#state.kind !== 'ready') throw new AppError('RTSP_STATE_INVALID', 'SETUP while the session plays; PAUSE it first')
    const wanted = this.#stream.tracks.filter(({ id }) => (trackId === undefined ? !this.#tracks.has(id) : id === trackId))
    const track = wanted[0]
    if (!track) {
      throw new AppError(
        'STREAM_NOT_FOUND',
        `stream "${this.streamName}" has no track ${trackId ?? 'left'}; DESCRIBE it again for the current ones`,
      )
    }
    const others = [...this.#tracks.values()].filter((other) => other.track.id !== track.id)
    const transport = chooseTransport(
      offers,
      others.map((other) => other.transport),
    )
    this.#tracks.get(track.id)?.registration?.[Symbol.dispose]()
    const registration =
      transport.kind === 'tcp'
        ? undefined
        : this.#context.udp.register(this.remoteHost, transport.ports, {
            rtp: () => {},
            rtcp: (packet) => {
              this.#rtcp(packet)
            },
          })
    this.#tracks.set(track.id, { track, transport, registration, hasReport: false, reportedLost: 0 })
    return answerTransport(transport, this.#context.udp.ports, 'play')
  }

  /**
   * Becomes a reader of the stream. The group of pictures that comes at once waits for `release`, so that the answer to PLAY goes first.
   * Throws `STREAM_LIMIT`, `RTSP_STATE_INVALID`.
   */
  play(): void {
    if (this.#state.kind === 'playing') return
    if (this.#state.kind === 'closed' || this.#tracks.size === 0)
      throw new AppError('RTSP_STATE_INVALID', 'PLAY before SETUP; set a track up first')
    const feed = this.#feed.join()
    this.#held = []
    try {
      this.#state = { kind: 'playing', feed, handle: this.#stream.addReader({ peer: this.#peer, sink: this }) }
    } catch (error) {
      this.#held = undefined
      feed[Symbol.dispose]()
      throw error
    }
    const tracks = [...this.#tracks.values()].map(({ track }) => track.parameters.codec)
    this.#log.info({ transport: this.isOverUdp ? 'udp' : 'tcp', tracks }, 'reader connected')
  }

  /** Sends what `play` held back; from here on units go out as they come. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const unit of held) this.write(unit)
  }

  pause(): void {
    if (this.#state.kind !== 'playing') return
    this.#leaveStream(this.#state)
    this.#state = { kind: 'ready' }
  }

  write(unit: AccessUnit): void {
    const reading = this.#tracks.get(unit.track.id)
    if (!reading || this.#state.kind === 'closed') return
    if (this.#held) {
      this.#held.push(unit)
      return
    }
    if (unit.track !== reading.track && !this.#follow(reading, unit.track)) return
    const packets = this.#feed.packetsOf(unit)
    if (!reading.hasReport) {
      reading.hasReport = true
      this.#sendReport(reading, unit.ptsTicks)
    }
    this.#context.counters.sentUnits += 1
    this.#context.counters.sentBytes += packets.byteLength
    if (reading.transport.kind === 'tcp') this.#link.write(packets.interleaved(reading.transport.channels[0]))
    else this.#pushDatagrams(packets.datagrams, reading.transport.ports[0])
  }

  tracksChanged(tracks: readonly Track[]): void {
    for (const { track } of this.#tracks.values()) {
      const now = tracks.find(({ id }) => id === track.id)
      if (!now || !canFollow(track, now)) return this.#endForNewTracks()
    }
  }

  end(reason: string): void {
    this.close(reason, { endConnection: true })
  }

  /** Readers send nothing but reports. */
  interleaved(_channel: number, payload: Buffer): void {
    this.#rtcp(payload)
  }

  touch(): void {
    this.#lastSeenMs = this.#context.clock.monotonicMs()
  }

  tick(nowMs: number): void {
    // A reader over TCP is there as long as the connection takes bytes, which the connection watches.
    const mustShow = this.isOverUdp || !this.isActive
    if (mustShow && nowMs - this.#lastSeenMs > this.#context.settings.sessionTimeoutSeconds * 1000) {
      this.close('it sent neither a request nor a report in time', { endConnection: true })
      return
    }
    if (!this.isActive || nowMs - this.#lastReportMs < senderReportIntervalMs) return
    for (const reading of this.#tracks.values()) if (reading.hasReport) this.#sendReport(reading)
    this.#lastReportMs = nowMs
  }

  close(reason: string, { endConnection = false } = {}): void {
    const state = this.#state
    if (state.kind === 'closed') return
    this.#state = { kind: 'closed' }
    if (state.kind === 'playing') {
      for (const reading of this.#tracks.values()) {
        sendRtcp(this.#context.udp, this.#link, reading.transport, this.#feed.bye(reading.track.id))
      }
      this.#leaveStream(state)
      this.#log.info({ reason, ...state.handle.stats }, 'reader disconnected')
    }
    for (const { registration } of this.#tracks.values()) registration?.[Symbol.dispose]()
    this.#context.sessions.delete(this.id)
    if (endConnection) this.#link.end()
  }

  /** A sign of life, and what got lost. An unreadable packet is a sign of life all the same. */
  #rtcp(packet: Buffer): void {
    this.touch()
    try {
      for (const part of parseRtcp(packet)) if (part.kind === 'receiver-report') part.reports.forEach(this.#takeReport)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
  }

  readonly #takeReport = ({ ssrc, cumulativeLost }: ReportBlock): void => {
    for (const reading of this.#tracks.values()) {
      if (this.#feed.ssrcOf(reading.track.id) !== ssrc || cumulativeLost <= reading.reportedLost) continue
      this.#context.counters.reportedLostPackets += cumulativeLost - reading.reportedLost
      reading.reportedLost = cumulativeLost
    }
  }

  #leaveStream({ handle, feed }: Extract<State, { kind: 'playing' }>): void {
    handle.remove()
    feed[Symbol.dispose]()
    this.#pacer.clear()
    this.#held = undefined
  }

  /** Takes on new parameters of a track; a player cannot learn those of audio in band. */
  #follow(reading: ReadTrack, track: Track): boolean {
    if (!canFollow(reading.track, track)) {
      this.#endForNewTracks()
      return false
    }
    reading.track = track
    return true
  }

  #endForNewTracks(): void {
    this.close('the tracks of the stream changed; a player must DESCRIBE again', { endConnection: true })
  }

  #pushDatagrams(datagrams: readonly Buffer[], port: number): void {
    const dropped = this.#pacer.dropped
    this.#pacer.push(datagrams, port)
    this.#context.counters.droppedDatagrams += this.#pacer.dropped - dropped
  }

  #sendReport(reading: ReadTrack, ptsTicks?: number): void {
    sendRtcp(this.#context.udp, this.#link, reading.transport, this.#feed.senderReport(reading.track.id, ptsTicks))
    this.#lastReportMs = this.#context.clock.monotonicMs()
  }
}

/** Whether a player that was set up for one track can go on with the other. */
function canFollow(before: Track, now: Track): boolean {
  if (before.clockRateHz !== now.clockRateHz || before.parameters.codec !== now.parameters.codec) return false
  return isVideoCodec(now.parameters.codec) || sameParameters(before.parameters, now.parameters)
}
