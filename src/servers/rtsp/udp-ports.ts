import { createSocket, type Socket } from 'node:dgram'
import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import type { NumberPair } from '#formats/rtsp/transport.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'

/** Where the datagrams of one client's port pair go. `packet` is the receiver's to keep. */
interface UdpClient {
  rtp(packet: Buffer): void
  rtcp(packet: Buffer): void
}

type Registration = { readonly address: string; readonly ports: NumberPair; readonly client: UdpClient }

/** The kernel's own limit applies; the default of 200 kB loses packets of a single keyframe. */
const socketBufferBytes = 4 * 1024 * 1024
const maxPortTries = 50

/**
 * The server's one RTP and RTCP port pair, shared by all sessions over UDP. A datagram belongs to the session that registered the address
 * and port it comes from; others are counted and left.
 */
export class UdpPorts implements AsyncDisposable {
  readonly rtpPort: number
  readonly #rtp: Socket
  readonly #rtcp: Socket
  readonly #isIpv6: boolean
  /** By client port; few clients share one. */
  readonly #rtpClients = new Map<number, Registration[]>()
  readonly #rtcpClients = new Map<number, Registration[]>()
  #strayDatagrams = 0

  private constructor({ rtp, rtcp, log, isIpv6 }: { rtp: Socket; rtcp: Socket; log: Logger; isIpv6: boolean }) {
    this.#rtp = rtp
    this.#rtcp = rtcp
    this.#isIpv6 = isIpv6
    this.rtpPort = rtp.address().port
    rtp.on('message', (packet, { address, port }) => {
      const found = this.#find(this.#rtpClients, address, port)
      if (found) found.client.rtp(packet)
    })
    rtcp.on('message', (packet, { address, port }) => {
      const found = this.#find(this.#rtcpClients, address, port)
      if (found) found.client.rtcp(packet)
    })
    for (const socket of [rtp, rtcp]) {
      socket.on('error', (error) => {
        log.warn({ port: socket.address().port, reason: error.message }, 'rtsp udp socket error')
      })
    }
  }

  /** Binds `rtpPort` and the next port, or any free pair for 0. Throws `LISTEN_FAILED`. */
  static async bind({ host, rtpPort, log }: { host: string; rtpPort: number; log: Logger }): Promise<UdpPorts> {
    const { address, family } = await resolveHost(host)
    const isIpv6 = family === 6
    for (let tries = 1; ; tries++) {
      const rtp = await bindSocket(address, rtpPort)
      const { port } = rtp.address()
      try {
        // RTP takes the even port, RFC 3550 §11.
        if (rtpPort !== 0 || port % 2 === 0) return new UdpPorts({ rtp, rtcp: await bindSocket(address, port + 1), log, isIpv6 })
        rtp.close()
      } catch (error) {
        rtp.close()
        if (rtpPort !== 0 || tries >= maxPortTries) throw error
      }
    }
  }

  /** Datagrams from nobody who set up a session. */
  get strayDatagrams(): number {
    return this.#strayDatagrams
  }

  /** The port pair as the `Transport` header says it. */
  get ports(): NumberPair {
    return [this.rtpPort, this.rtpPort + 1]
  }

  /** Takes in what comes from this client's ports. Throws `RTSP_TRANSPORT_UNSUPPORTED` when another session has one of them. */
  register(address: string, ports: NumberPair, client: UdpClient): Disposable {
    const registration = { address: this.#wireAddress(address), ports, client }
    const isTaken =
      this.#isTaken(this.#rtpClients, registration.address, ports[0]) ||
      this.#isTaken(this.#rtcpClients, registration.address, ports[1])
    if (isTaken) {
      throw new AppError(
        'RTSP_TRANSPORT_UNSUPPORTED',
        `ports ${ports.join('-')} of ${address} belong to another session; choose others or use TCP`,
      )
    }
    addTo(this.#rtpClients, ports[0], registration)
    addTo(this.#rtcpClients, ports[1], registration)
    return {
      [Symbol.dispose]: () => {
        removeFrom(this.#rtpClients, ports[0], registration)
        removeFrom(this.#rtcpClients, ports[1], registration)
      },
    }
  }

  /** Sends at once; what the kernel does not take is lost, as UDP is. */
  sendRtp(packet: Buffer, port: number, address: string): void {
    this.#rtp.send(packet, port, this.#wireAddress(address))
  }
  sendRtcp(packet: Buffer, port: number, address: string): void {
    this.#rtcp.send(packet, port, this.#wireAddress(address))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.all([once(this.#rtp, 'close'), once(this.#rtcp, 'close')])
    this.#rtp.close()
    this.#rtcp.close()
    await closed
  }

  #find(clients: Map<number, Registration[]>, address: string, port: number): Registration | undefined {
    const found = clients.get(port)?.find((registration) => registration.address === address)
    if (!found) this.#strayDatagrams += 1
    return found
  }

  #isTaken(clients: Map<number, Registration[]>, address: string, port: number): boolean {
    return clients.get(port)?.some((registration) => registration.address === address) ?? false
  }

  /** An IPv6 socket sees IPv4 addresses mapped. */
  #wireAddress(address: string): string {
    return this.#isIpv6 && !address.includes(':') ? `::ffff:${address}` : address
  }
}

async function resolveHost(host: string): Promise<LookupAddress> {
  try {
    return await lookup(host)
  } catch (error) {
    throw new AppError('LISTEN_FAILED', `"${host}" leads to no address; correct rtsp.host`, { cause: error })
  }
}

async function bindSocket(host: string, port: number): Promise<Socket> {
  const socket = createSocket({
    type: isIPv6(host) ? 'udp6' : 'udp4',
    recvBufferSize: socketBufferBytes,
    sendBufferSize: socketBufferBytes,
    // Addresses are numbers already: no look-up per datagram.
    lookup: (address, _options, callback) => {
      callback(null, address, isIPv6(address) ? 6 : 4)
    },
  })
  try {
    // The look-up answers at once, and so does `bind`.
    const listening = once(socket, 'listening')
    socket.bind(port, host)
    await listening
    return socket
  } catch (error) {
    socket.close()
    const reason = error instanceof Error ? error.message : String(error)
    throw new AppError('LISTEN_FAILED', `cannot open UDP port ${port} on ${host} for RTP: ${reason}; set another rtsp.rtpPort`, {
      cause: error,
    })
  }
}

function addTo(clients: Map<number, Registration[]>, port: number, registration: Registration): void {
  clients.set(port, [...(clients.get(port) ?? []), registration])
}

function removeFrom(clients: Map<number, Registration[]>, port: number, registration: Registration): void {
  const left = (clients.get(port) ?? []).filter((other) => other !== registration)
  if (left.length > 0) clients.set(port, left)
  else clients.delete(port)
}
