import { interleavedFrame } from '#formats/rtsp/interleaved-frame.ts'
import type { NumberPair, Transport } from '#formats/rtsp/transport.ts'
import { AppError } from '#lib/errors.ts'
import type { MediaLink, TrackTransport } from './context.ts'
import type { UdpPorts } from './udp-ports.ts'

/**
 * Takes the first transport offered that the server has: TCP interleaved, or UDP unicast to given ports; all tracks of a session take the
 * same. Throws `RTSP_TRANSPORT_UNSUPPORTED`.
 */
export function chooseTransport(offers: readonly Transport[], others: readonly TrackTransport[]): TrackTransport {
  const kind = others[0]?.kind
  for (const offer of offers) {
    if (offer.isMulticast || (kind !== undefined && offer.protocol !== kind)) continue
    if (offer.protocol === 'tcp') return { kind: 'tcp', channels: freeChannels(offer.interleaved, others) }
    if (offer.clientPorts) return { kind: 'udp', ports: offer.clientPorts }
  }
  const reason =
    kind === undefined
      ? 'offer RTP/AVP/TCP, or RTP/AVP with client_port'
      : `the session's other tracks use ${kind.toUpperCase()}; use it too`
  throw new AppError('RTSP_TRANSPORT_UNSUPPORTED', `none of the transports offered is possible: ${reason}`)
}

/** The `Transport` header that answers a SETUP. */
export function answerTransport(transport: TrackTransport, serverPorts: NumberPair, mode: 'play' | 'record'): Transport {
  const common = { isMulticast: false, ...(mode === 'record' ? { mode } : {}) }
  return transport.kind === 'tcp'
    ? { ...common, protocol: 'tcp', interleaved: transport.channels }
    : { ...common, protocol: 'udp', clientPorts: transport.ports, serverPorts }
}

/** Sends a report or BYE of a track the way its media goes; nothing when there is none. */
export function sendRtcp(udp: UdpPorts, link: MediaLink, transport: TrackTransport, packet: Buffer | undefined): void {
  if (!packet) return
  if (transport.kind === 'tcp') link.write(interleavedFrame(transport.channels[1], packet))
  else udp.sendRtcp(packet, transport.ports[1], link.remoteHost)
}

/** The channels asked for, unless another track has one of them: then the first free pair. */
function freeChannels(wanted: NumberPair | undefined, others: readonly TrackTransport[]): NumberPair {
  const taken = new Set(others.flatMap((other) => (other.kind === 'tcp' ? other.channels : [])))
  if (wanted && !taken.has(wanted[0]) && !taken.has(wanted[1])) return wanted
  for (let channel = 0; channel < 255; channel += 2) {
    if (!taken.has(channel) && !taken.has(channel + 1)) return [channel, channel + 1]
  }
  throw new AppError('RTSP_TRANSPORT_UNSUPPORTED', 'all interleaved channels of the session are in use')
}
