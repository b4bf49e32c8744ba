import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { parseRtcp } from '#formats/rtcp/rtcp-packet.ts'
import { RtpReceiver } from '#live/ingest/rtp-receiver.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { RtspClientConnection } from './client-connection.ts'
import type { PulledTrack, PullSession } from './pull-session.ts'

const tickMs = 250
const receiverReportMs = 5_000
/** Without a packet over UDP for this long, a firewall is in the way. */
const udpPatienceMs = 3_000

/** Where what is pulled goes. `onTracks` comes once, before the first unit. */
export type PullTarget = {
  readonly onTracks: (tracks: readonly Track[]) => void
  readonly onUnit: (unit: AccessUnit) => void
  /** Packets that were lost or could not be used. */
  readonly onLoss: (packets: number) => void
}

/** `finished`: the source said good-bye, or this side wanted no more. `no-packets`: nothing came over UDP at all. */
type FlowEnd = 'finished' | 'no-packets'

/** The media of a pull from PLAY on: packets into the receiver, reports and keepalives out, and a watch for silence. */
export class MediaFlow implements Disposable {
  readonly #connection: RtspClientConnection
  readonly #session: PullSession
  readonly #tracks: readonly PulledTrack[]
  readonly #clock: Clock
  readonly #silenceMs: number
  readonly #receiver: RtpReceiver
  readonly #ended = Promise.withResolvers<FlowEnd>()
  readonly #finished = new Set<number>()
  #timer: NodeJS.Timeout | undefined
  #packets = 0
  #packetsAtTick = 0
  #lastPacketMs = 0
  #lastReportMs = 0
  #lastKeepaliveMs = 0

  constructor(options: {
    connection: RtspClientConnection
    session: PullSession
    tracks: readonly PulledTrack[]
    target: PullTarget
    clock: Clock
    silenceMs: number
  }) {
    this.#connection = options.connection
    this.#session = options.session
    this.#tracks = options.tracks
    this.#clock = options.clock
    this.#silenceMs = options.silenceMs
    this.#receiver = new RtpReceiver({
      ...options.target,
      tracks: options.tracks.map(({ media }) => media.description),
      clock: options.clock,
      isReordering: options.tracks.some(({ kind }) => kind === 'udp'),
    })
    this.#connect()
  }

  /**
   * Watches over the flow from the answer to PLAY on; resolves when it is over. Rejects with `SOURCE_SILENT`, or with what ended the
   * connection. Packets are taken in before as well: some sources send them ahead of the answer.
   */
  run(signal: AbortSignal): Promise<FlowEnd> {
    const nowMs = this.#clock.monotonicMs()
    this.#lastPacketMs = nowMs
    this.#lastKeepaliveMs = nowMs
    this.#lastReportMs = nowMs
    this.#timer = setInterval(() => {
      this.#tick(this.#clock.monotonicMs())
    }, tickMs)
    const onAbort = (): void => {
      this.#ended.resolve('finished')
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    void this.#connection.closed.then((error) => {
      this.#ended.reject(error)
    })
    return this.#ended.promise.finally(() => {
      signal.removeEventListener('abort', onAbort)
    })
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#connection.onInterleaved(() => {})
    this.#receiver.close()
  }

  #connect(): void {
    const channels: ((payload: Buffer) => void)[] = []
    for (const [index, track] of this.#tracks.entries()) {
      const rtp = (packet: Buffer): void => {
        this.#packets += 1
        this.#receiver.rtp(index, packet)
      }
      const rtcp = (packet: Buffer): void => {
        this.#rtcp(index, packet)
      }
      if (track.kind === 'udp') {
        track.pair.start(track.server, { rtp, rtcp })
      } else {
        channels[track.channels[0]] = rtp
        channels[track.channels[1]] = rtcp
      }
    }
    this.#connection.onInterleaved((channel, payload) => channels[channel]?.(payload))
  }

  #rtcp(index: number, packet: Buffer): void {
    this.#receiver.rtcp(index, packet)
    if (!saysBye(packet)) return
    this.#finished.add(index)
    if (this.#finished.size === this.#tracks.length) this.#ended.resolve('finished')
  }

  #tick(nowMs: number): void {
    if (this.#packets !== this.#packetsAtTick) this.#lastPacketMs = nowMs
    this.#packetsAtTick = this.#packets
    const silentMs = nowMs - this.#lastPacketMs
    const isUdp = this.#tracks.some(({ kind }) => kind === 'udp')
    if (isUdp && this.#packets === 0 && silentMs >= Math.min(udpPatienceMs, this.#silenceMs))
      return this.#ended.resolve('no-packets')
    if (silentMs >= this.#silenceMs) {
      const text = `the source sent no media for ${Math.round(silentMs)} ms; check that the camera is awake and the network carries it`
      return this.#ended.reject(new AppError('SOURCE_SILENT', text))
    }
    if (nowMs - this.#lastKeepaliveMs >= this.#session.keepaliveMs) {
      this.#lastKeepaliveMs = nowMs
      this.#session.keepalive()
    }
    if (isUdp && nowMs - this.#lastReportMs >= receiverReportMs) {
      this.#lastReportMs = nowMs
      this.#sendReports()
    }
  }

  #sendReports(): void {
    for (const [index, track] of this.#tracks.entries()) {
      const report = this.#receiver.receiverReport(index)
      if (report && track.kind === 'udp') track.pair.sendRtcp(report)
    }
  }
}

/** Whether an RTCP packet says that its sender has finished. An unreadable one says nothing; the receiver counts it. */
function saysBye(packet: Buffer): boolean {
  try {
    return parseRtcp(packet).some(({ kind }) => kind === 'bye')
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}
