import { randomBytes } from 'node:crypto'
import type { Transport } from '#formats/rtsp/transport.ts'
import type { SdpTrack } from '#formats/sdp/sdp-tracks.ts'
import { AppError } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import { RtpReceiver } from '#live/ingest/rtp-receiver.ts'
import type { Peer } from '#live/peer.ts'
import type { Publication } from '#live/publication.ts'
import type { MediaLink, RtspContext, RtspSession, TrackTransport } from './context.ts'
import { answerTransport, chooseTransport, sendRtcp } from './track-transport.ts'

const receiverReportIntervalMs = 10_000

type UsableTrack = Extract<SdpTrack, { kind: 'usable' }>

/** A media that was set up; `index` counts these, in the order of their SETUP. */
type PublishTrack = {
  readonly media: UsableTrack
  readonly transport: TrackTransport
  readonly registration: Disposable | undefined
}

type State =
  | { readonly kind: 'ready' }
  | { readonly kind: 'publishing'; readonly publication: Publication; readonly receiver: RtpReceiver }
  | { readonly kind: 'closed' }

/**
 * One publisher.
 *
 *   ready ──record──► publishing ──pause──► ready;   any ──close──► closed
 */
export class PublishSession implements RtspSession {
  readonly kind = 'publish'
  readonly id = randomBytes(16).toString('hex')
  readonly streamName: string
  readonly #context: RtspContext
  readonly #link: MediaLink
  readonly #medias: readonly SdpTrack[]
  readonly #url: string
  readonly #log: Logger
  readonly #peer: Peer
  readonly #tracks: PublishTrack[] = []
  /** What comes on each interleaved channel. */
  readonly #channels: ({ readonly index: number; readonly isRtcp: boolean } | undefined)[] = []
  #state: State = { kind: 'ready' }
  #lastSeenMs: number
  #lastReportMs = -Infinity
  #receivedPackets = 0
  #countedPackets = 0

  /** `url`: of the ANNOUNCE, which the tracks' controls are relative to. */
  constructor(options: { context: RtspContext; link: MediaLink; name: string; tracks: readonly SdpTrack[]; url: string }) {
    const { context, link, name } = options
    this.streamName = name
    this.#context = context
    this.#link = link
    this.#medias = options.tracks
    this.#url = options.url
    this.#lastSeenMs = context.clock.monotonicMs()
    this.#peer = {
      id: `rtsp-${newId(context.clock.nowMs())}`,
      protocol: 'rtsp',
      remoteAddress: link.remoteAddress,
      ...(link.userAgent === undefined ? {} : { userAgent: link.userAgent }),
    }
    this.#log = context.log.child({ stream: name, publisher: this.#peer.id, remoteAddress: link.remoteAddress })
    context.sessions.set(this.id, this)
  }

  get remoteHost(): string {
    return this.#link.remoteHost
  }
  get isActive(): boolean {
    return this.#state.kind === 'publishing'
  }
  get isOverUdp(): boolean {
    return this.#tracks[0]?.transport.kind === 'udp'
  }

  /** Sets up the media that the URL names. Throws `CODEC_UNSUPPORTED`, `STREAM_NOT_FOUND`, `RTSP_STATE_INVALID`, `RTSP_TRANSPORT_UNSUPPORTED`. */
  setup(url: string, offers: readonly Transport[]): Transport {
    if (this.#state.kind !== 'ready')
      throw new AppError('RTSP_STATE_INVALID', 'SETUP while the session publishes; PAUSE it first')
    const media = this.#findMedia(url)
    if (media.kind === 'unusable') {
      this.#log.warn({ media: media.name, reason: media.reason }, 'published media is not carried')
      throw new AppError('CODEC_UNSUPPORTED', `${media.name} is not carried: ${media.reason}; leave it out`)
    }
    const transport = chooseTransport(
      offers,
      this.#tracks.map((track) => track.transport),
    )
    const index = this.#tracks.length
    this.#tracks.push({ media, transport, registration: this.#connect(index, transport) })
    return answerTransport(transport, this.#context.udp.ports, 'record')
  }

  /** Becomes the publisher of the stream. Throws what `StreamHub.publish` throws, and `RTSP_STATE_INVALID`. */
  record(): void {
    if (this.#state.kind === 'publishing') return
    if (this.#state.kind === 'closed' || this.#tracks.length === 0)
      throw new AppError('RTSP_STATE_INVALID', 'RECORD before SETUP; set a track up first')
    const publication = this.#context.hub.publish(this.streamName, { peer: this.#peer })
    const receiver = new RtpReceiver({
      tracks: this.#tracks.map(({ media }) => media.description),
      clock: this.#context.clock,
      isReordering: this.isOverUdp,
      onTracks: (tracks) => {
        publication.start(tracks)
      },
      onUnit: (unit) => {
        publication.write(unit)
      },
      onLoss: (packets) => {
        this.#context.counters.lostPackets += packets
        publication.countLoss(packets)
      },
    })
    this.touch()
    this.#state = { kind: 'publishing', publication, receiver }
    publication.signal.addEventListener('abort', () => {
      this.close('the stream was taken away from it', { endConnection: true })
    })
    const tracks = this.#tracks.map(({ media }) => media.name)
    this.#log.info({ transport: this.isOverUdp ? 'udp' : 'tcp', tracks }, 'publisher connected')
  }

  pause(): void {
    if (this.#state.kind !== 'publishing') return
    this.#state.receiver.close()
    this.#state.publication.close('the publisher paused')
    this.#state = { kind: 'ready' }
    this.touch()
  }

  interleaved(channel: number, payload: Buffer): void {
    const use = this.#channels[channel]
    if (!use) return
    if (use.isRtcp) this.#rtcp(use.index, payload)
    else this.#rtp(use.index, payload)
  }

  /** While it publishes only media counts: a publisher that sends keepalives and no picture is of no use. */
  touch(): void {
    if (this.#state.kind !== 'publishing') this.#lastSeenMs = this.#context.clock.monotonicMs()
  }

  tick(nowMs: number): void {
    const { publisherSilenceSeconds, sessionTimeoutSeconds } = this.#context.settings
    // The packets are counted and the clock is asked here, not for each packet.
    if (this.#countPackets() > 0) this.#lastSeenMs = nowMs
    const limitMs = (this.isActive ? publisherSilenceSeconds : sessionTimeoutSeconds) * 1000
    if (nowMs - this.#lastSeenMs > limitMs) {
      this.close(this.isActive ? 'it sent no media in time' : 'it sent no request in time', { endConnection: true })
      return
    }
    if (this.#state.kind !== 'publishing' || nowMs - this.#lastReportMs < receiverReportIntervalMs) return
    this.#lastReportMs = nowMs
    for (const [index, { transport }] of this.#tracks.entries()) {
      sendRtcp(this.#context.udp, this.#link, transport, this.#state.receiver.receiverReport(index))
    }
  }

  close(reason: string, { endConnection = false } = {}): void {
    const state = this.#state
    if (state.kind === 'closed') return
    this.#state = { kind: 'closed' }
    this.#countPackets()
    if (state.kind === 'publishing') {
      state.receiver.close()
      state.publication.close(reason)
      this.#log.info({ reason, receivedPackets: this.#receivedPackets }, 'publisher disconnected')
    }
    for (const { registration } of this.#tracks) registration?.[Symbol.dispose]()
    this.#context.sessions.delete(this.id)
    if (endConnection) this.#link.end()
  }

  /** Adds what came since the last call to the server's total; gives back how much that is. */
  #countPackets(): number {
    const packets = this.#receivedPackets - this.#countedPackets
    this.#countedPackets = this.#receivedPackets
    this.#context.counters.receivedPackets += packets
    return packets
  }

  #connect(index: number, transport: TrackTransport): Disposable | undefined {
    if (transport.kind === 'tcp') {
      this.#channels[transport.channels[0]] = { index, isRtcp: false }
      this.#channels[transport.channels[1]] = { index, isRtcp: true }
      return undefined
    }
    return this.#context.udp.register(this.remoteHost, transport.ports, {
      rtp: (packet) => {
        this.#rtp(index, packet)
      },
      rtcp: (packet) => {
        this.#rtcp(index, packet)
      },
    })
  }

  #rtp(index: number, packet: Buffer): void {
    if (this.#state.kind !== 'publishing') return
    this.#receivedPackets += 1
    this.#state.receiver.rtp(index, packet)
  }

  #rtcp(index: number, packet: Buffer): void {
    if (this.#state.kind === 'publishing') this.#state.receiver.rtcp(index, packet)
  }

  /** The media whose control the URL ends with; where no control fits, the first that is not set up. Throws `STREAM_NOT_FOUND`. */
  #findMedia(url: string): SdpTrack {
    const wanted = withoutSlash(url)
    const named = this.#medias.find(({ control }) => control !== undefined && isControlOf(control, wanted))
    if (named && this.#isSetUp(named)) throw new AppError('RTSP_STATE_INVALID', `${named.name} is set up already`)
    const media = named ?? (wanted === withoutSlash(this.#url) ? this.#medias.find((other) => !this.#isSetUp(other)) : undefined)
    if (!media)
      throw new AppError(
        'STREAM_NOT_FOUND',
        `the publication of "${this.streamName}" has no such media; SETUP the controls of its description`,
      )
    return media
  }

  #isSetUp(media: SdpTrack): boolean {
    return this.#tracks.some((track) => track.media === media)
  }
}

function isControlOf(control: string, url: string): boolean {
  const own = withoutSlash(control)
  return url === own || url.endsWith(own.startsWith('/') || own.startsWith('?') ? own : `/${own}`)
}

function withoutSlash(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url
}
