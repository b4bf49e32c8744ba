import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { RtspConnection } from './connection.ts'
import type { RtspContext, RtspCounters } from './context.ts'
import type { Access, StreamHub } from './hub.ts'
import type { RtspSettings } from './settings.ts'
import { StreamFeeds } from './stream-feed.ts'
import { UdpPorts } from './udp-ports.ts'

const tickMs = 250

export type RtspServerDeps = {
  readonly hub: StreamHub
  readonly access: Access
  readonly clock: Clock
  readonly log: Logger
  readonly settings: RtspSettings
}

/** Totals since the start, and what there is now: for metrics. */
export type RtspServerStats = Readonly<RtspCounters> & {
  readonly connections: number
  /** Sessions that are sending or receiving media. */
  readonly readers: number
  readonly publishers: number
  /** Datagrams that belong to no session. */
  readonly strayDatagrams: number
}

/**
 * RTSP 1.0, RFC 2326: clients publish (ANNOUNCE, RECORD) and read (DESCRIBE, PLAY), over TCP interleaved or UDP.
 *
 *   socket ── RtspConnection ── request handlers ──► ReadSession    ◄── StreamFeed (packets, once per stream) ◄── stream
 *                     │                         └──► PublishSession ──► RtpReceiver ──► publication
 *                     └── interleaved packets ──────────▲   ▲── UdpPorts (one pair for everybody)
 */
export class RtspServer implements AsyncDisposable {
  readonly #context: RtspContext
  readonly #server: Server
  readonly #connections = new Set<RtspConnection>()
  readonly #timer: NodeJS.Timeout
  readonly port: number

  private constructor({ context, server, port }: { context: RtspContext; server: Server; port: number }) {
    this.#context = context
    this.#server = server
    this.port = port
    server.maxConnections = context.settings.maxConnections
    server.on('connection', (socket) => {
      const connection = new RtspConnection({ context, socket })
      this.#connections.add(connection)
      socket.once('close', () => this.#connections.delete(connection))
    })
    server.on('drop', (from) => {
      context.counters.refusedConnections += 1
      context.log.warn(
        { remoteAddress: from?.remoteAddress, maxConnections: context.settings.maxConnections },
        'rtsp connection refused: too many',
      )
    })
    server.on('error', (error) => {
      context.log.error({ reason: error.message }, 'rtsp server cannot accept connections')
    })
    this.#timer = setInterval(() => {
      this.#tick()
    }, tickMs)
  }

  /** Opens the ports. Throws `LISTEN_FAILED`. */
  static async listen(deps: RtspServerDeps): Promise<RtspServer> {
    const { settings } = deps
    const log = deps.log.child({ server: 'rtsp' })
    const udp = await UdpPorts.bind({ host: settings.host, rtpPort: settings.rtpPort, log })
    try {
      const server = await listenTcp(settings)
      const port = portOf(server.address())
      const context = { ...deps, log, udp, feeds: new StreamFeeds(), sessions: new Map(), counters: newCounters() }
      log.info({ host: settings.host, port, rtpPort: udp.ports[0], rtcpPort: udp.ports[1] }, 'rtsp server listens')
      return new RtspServer({ context, server, port })
    } catch (error) {
      await udp[Symbol.asyncDispose]()
      throw error
    }
  }

  /** UDP port of RTP; RTCP has the next one. */
  get rtpPort(): number {
    return this.#context.udp.rtpPort
  }

  get stats(): RtspServerStats {
    const active = [...this.#context.sessions.values()].filter(({ isActive }) => isActive)
    return {
      ...this.#context.counters,
      connections: this.#connections.size,
      readers: active.filter(({ kind }) => kind === 'read').length,
      publishers: active.filter(({ kind }) => kind === 'publish').length,
      strayDatagrams: this.#context.udp.strayDatagrams,
    }
  }

  /** Says good-bye to every client and closes the ports. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return
    clearInterval(this.#timer)
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const session of this.#context.sessions.values()) session.close('the server is stopping')
    for (const connection of this.#connections) connection.end()
    await closed
    await this.#context.udp[Symbol.asyncDispose]()
  }

  #tick(): void {
    const nowMs = this.#context.clock.monotonicMs()
    for (const session of this.#context.sessions.values()) session.tick(nowMs)
    for (const connection of this.#connections) connection.tick(nowMs)
  }
}

async function listenTcp({ host, port }: RtspSettings): Promise<Server> {
  const server = createServer()
  try {
    server.listen(port, host)
    await once(server, 'listening')
    return server
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new AppError('LISTEN_FAILED', `cannot listen on ${host} port ${port} for RTSP: ${reason}; set another rtsp.port`, {
      cause: error,
    })
  }
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

function newCounters(): RtspCounters {
  return {
    requests: 0,
    refusedRequests: 0,
    refusedConnections: 0,
    wrongPasswords: 0,
    resyncs: 0,
    receivedPackets: 0,
    lostPackets: 0,
    sentUnits: 0,
    sentBytes: 0,
    reportedLostPackets: 0,
    droppedDatagrams: 0,
  }
}
