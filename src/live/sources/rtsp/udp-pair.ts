import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import type { NumberPair } from '#formats/rtsp/transport.ts'
import { AppError } from '#lib/errors.ts'

const receiveBufferBytes = 4 * 1024 * 1024
const maxPortTries = 50

/** What comes in on a pair; only from the server's address. `packet` is the receiver's to keep. */
type UdpPairListener = { rtp(packet: Buffer): void; rtcp(packet: Buffer): void }

/** Where a server sends from; its ports are unknown when it did not say them, and then there is no way to send reports. */
export type UdpServer = { readonly address: string; readonly ports: NumberPair | undefined }

/** The two UDP ports, RTP and RTCP, on which one track is received. */
export class UdpPair implements AsyncDisposable {
  readonly ports: NumberPair
  readonly #rtp: Socket
  readonly #rtcp: Socket
  #server: UdpServer | undefined

  private constructor(rtp: Socket, rtcp: Socket) {
    this.#rtp = rtp
    this.#rtcp = rtcp
    this.ports = [rtp.address().port, rtcp.address().port]
  }

  /** Opens a free pair on the local address, RTP on the even port (RFC 3550 §11). Throws `LISTEN_FAILED`. */
  static async open(localAddress: string): Promise<UdpPair> {
    for (let tries = 1; ; tries++) {
      const rtp = await bindSocket(localAddress, 0)
      try {
        if (rtp.address().port % 2 === 0) return new UdpPair(rtp, await bindSocket(localAddress, rtp.address().port + 1))
        rtp.close()
      } catch (error) {
        rtp.close()
        if (tries >= maxPortTries) throw error
      }
    }
  }

  /** Begins to receive from the server, and opens the way through a NAT with a packet to each of its ports. */
  start(server: UdpServer, listener: UdpPairListener): void {
    this.#server = server
    this.#rtp.on('message', (packet, { address }) => {
      if (address === server.address) listener.rtp(packet)
    })
    this.#rtcp.on('message', (packet, { address }) => {
      if (address === server.address) listener.rtcp(packet)
    })
    // An RTP header without payload and an empty receiver report, which servers take for nothing.
    if (server.ports) this.#rtp.send(Buffer.of(0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), server.ports[0], server.address)
    this.sendRtcp(Buffer.of(0x80, 201, 0, 1, 0, 0, 0, 0))
  }

  sendRtcp(packet: Buffer): void {
    if (this.#server?.ports) this.#rtcp.send(packet, this.#server.ports[1], this.#server.address)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.all([once(this.#rtp, 'close'), once(this.#rtcp, 'close')])
    this.#rtp.close()
    this.#rtcp.close()
    await closed
  }
}

async function bindSocket(address: string, port: number): Promise<Socket> {
  const isIpv6 = isIPv6(address)
  const socket = createSocket({
    type: isIpv6 ? 'udp6' : 'udp4',
    recvBufferSize: receiveBufferBytes,
    lookup: (name, _options, callback) => {
      callback(null, name, isIPv6(name) ? 6 : 4)
    },
  })
  try {
    // The look-up answers at once, and so does `bind`.
    const listening = once(socket, 'listening')
    socket.bind(port, address)
    await listening
    // Errors that come later concern single datagrams; silence is noticed anyway.
    socket.on('error', () => {})
    return socket
  } catch (error) {
    socket.close()
    const reason = error instanceof Error ? error.message : String(error)
    throw new AppError('LISTEN_FAILED', `cannot open UDP port ${port} on ${address} to receive RTP: ${reason}`, { cause: error })
  }
}
