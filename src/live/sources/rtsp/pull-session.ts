import { isIP } from 'node:net'
import { findHeader, type HeaderFields, type RtspMethod, type RtspResponse } from '#formats/rtsp/message.ts'
import { parseSession } from '#formats/rtsp/session-header.ts'
import { parseTransports, writeTransport, type NumberPair, type Transport } from '#formats/rtsp/transport.ts'
import { resolveBaseUrl, resolveTrackUrl, type RtspUrl } from '#formats/rtsp/url.ts'
import { describeSdpTracks, type SdpTrack } from '#formats/sdp/sdp-tracks.ts'
import { parseSdp } from '#formats/sdp/session-description.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { RtspClientConnection } from './client-connection.ts'
import { UdpPair, type UdpServer } from './udp-pair.ts'

const maxTracks = 8
const keepaliveMs = 30_000

export type UsableTrack = Extract<SdpTrack, { kind: 'usable' }>

/** A track that the source has set up, and how its packets come. */
export type PulledTrack = { readonly media: UsableTrack } & (
  | { readonly kind: 'tcp'; readonly channels: NumberPair }
  | { readonly kind: 'udp'; readonly pair: UdpPair; readonly server: UdpServer }
)

/** What the source said to DESCRIBE. */
type Description =
  | { readonly kind: 'described'; readonly tracks: readonly UsableTrack[]; readonly baseUrl: string }
  | { readonly kind: 'redirected'; readonly location: string }

/** Whether the source takes the transport asked for. */
type SetupResult = { readonly kind: 'ready'; readonly tracks: readonly PulledTrack[] } | { readonly kind: 'transport-refused' }

/** The requests of one pull in their order: `describe`, `setup`, `play`, then `keepalive` now and then, and `teardown`. */
export class PullSession implements AsyncDisposable {
  readonly #connection: RtspClientConnection
  readonly #url: RtspUrl
  readonly #log: Logger
  readonly #pairs: UdpPair[] = []
  #methods = ''
  #baseUrl: string
  #session: { readonly id: string; readonly timeoutSeconds?: number } | undefined

  constructor({ connection, url, log }: { connection: RtspClientConnection; url: RtspUrl; log: Logger }) {
    this.#connection = connection
    this.#url = url
    this.#log = log
    this.#baseUrl = url.text
  }

  /** How often the source wants to hear from us: 5 s before it would give up, 30 s where it does not say. */
  get keepaliveMs(): number {
    const timeoutSeconds = this.#session?.timeoutSeconds
    return timeoutSeconds === undefined ? keepaliveMs : Math.max(timeoutSeconds - 5, 1) * 1000
  }

  /** Throws `SOURCE_REFUSED`, `CODEC_UNSUPPORTED`, `MALFORMED`. */
  async describe(): Promise<Description> {
    const options = await this.#connection.request('OPTIONS', this.#url.text)
    this.#methods = (options.headers.get('public') ?? []).join(',').toUpperCase()
    const response = await this.#connection.request('DESCRIBE', this.#url.text, { Accept: 'application/sdp' })
    const location = findHeader(response.headers, 'location')
    if (response.status >= 300 && response.status < 400 && location !== undefined) return { kind: 'redirected', location }
    this.#requireOk('DESCRIBE', response)
    const session = parseSdp(response.body.toString())
    const contentBase = findHeader(response.headers, 'content-base')
    this.#baseUrl = resolveBaseUrl({ requestUrl: this.#url.text, contentBase, control: session.control })
    return { kind: 'described', tracks: this.#usableTracks(describeSdpTracks(session)), baseUrl: this.#baseUrl }
  }

  /** Sets up what it can of the tracks. Throws `SOURCE_REFUSED` when the source takes none of them. */
  async setup(tracks: readonly UsableTrack[], protocol: 'tcp' | 'udp'): Promise<SetupResult> {
    const ready: PulledTrack[] = []
    let refusal: RtspResponse | undefined
    for (const media of tracks) {
      const pair = protocol === 'udp' ? await this.#openPair() : undefined
      const channels: NumberPair = [ready.length * 2, ready.length * 2 + 1]
      const wanted: Transport = pair
        ? { protocol: 'udp', isMulticast: false, clientPorts: pair.ports }
        : { protocol: 'tcp', isMulticast: false, interleaved: channels }
      const url = resolveTrackUrl(this.#baseUrl, media.control)
      const response = await this.#connection.request('SETUP', url, {
        Transport: writeTransport(wanted),
        ...this.#sessionHeader(),
      })
      if (response.status === 461 && ready.length === 0) return { kind: 'transport-refused' }
      if (response.status !== 200) {
        refusal = response
        this.#log.warn({ track: media.name, status: response.status, reason: response.reason }, 'source refuses a track')
        continue
      }
      const session = findHeader(response.headers, 'session')
      if (session !== undefined) this.#session = parseSession(session)
      const given = parseTransports(findHeader(response.headers, 'transport') ?? '')[0] ?? wanted
      if (given.protocol !== protocol) return { kind: 'transport-refused' }
      ready.push(this.#pulledTrack(media, { given, channels, pair }))
    }
    if (ready.length === 0 && refusal) this.#requireOk('SETUP', refusal)
    return { kind: 'ready', tracks: ready }
  }

  /** Throws `SOURCE_REFUSED`. */
  async play(): Promise<void> {
    this.#requireOk(
      'PLAY',
      await this.#connection.request('PLAY', this.#baseUrl, { Range: 'npt=0.000-', ...this.#sessionHeader() }),
    )
  }

  /** Some cameras know only OPTIONS, and some never answer: nobody waits for it. */
  keepalive(): void {
    const method: RtspMethod = this.#methods.includes('GET_PARAMETER') ? 'GET_PARAMETER' : 'OPTIONS'
    this.#connection.send(method, this.#baseUrl, this.#sessionHeader())
  }

  /** Tells the source that it may stop; without waiting. */
  teardown(): void {
    if (this.#session) this.#connection.send('TEARDOWN', this.#baseUrl, this.#sessionHeader())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#pairs.map((pair) => pair[Symbol.asyncDispose]()))
  }

  #usableTracks(all: readonly SdpTrack[]): UsableTrack[] {
    const usable = all.filter((track) => track.kind === 'usable')
    for (const track of all) {
      if (track.kind === 'unusable') this.#log.debug({ track: track.name, reason: track.reason }, 'source track is not carried')
    }
    if (usable.length > 0) return usable.slice(0, maxTracks)
    const found = all.map((track) => (track.kind === 'unusable' ? `${track.name} (${track.reason})` : track.name)).join(', ')
    throw new AppError(
      'CODEC_UNSUPPORTED',
      `nothing that the source offers can be carried: ${found}; set it to H264, H265, AAC, Opus or G711`,
    )
  }

  async #openPair(): Promise<UdpPair> {
    const pair = await UdpPair.open(this.#connection.localAddress)
    this.#pairs.push(pair)
    return pair
  }

  #pulledTrack(
    media: UsableTrack,
    { given, channels, pair }: { given: Transport; channels: NumberPair; pair: UdpPair | undefined },
  ): PulledTrack {
    if (!pair) return { media, kind: 'tcp', channels: given.interleaved ?? channels }
    const address = given.source !== undefined && isIP(given.source) !== 0 ? given.source : this.#connection.remoteAddress
    return { media, kind: 'udp', pair, server: { address, ports: given.serverPorts } }
  }

  #sessionHeader(): HeaderFields {
    return { Session: this.#session?.id }
  }

  #requireOk(method: RtspMethod, { status, reason }: RtspResponse): void {
    if (status === 200) return
    throw new AppError(
      'SOURCE_REFUSED',
      `${this.#url.host}:${this.#url.port} answers ${method} with ${status} ${reason}; check the path and the rights of the user in the source's URL`,
    )
  }
}
