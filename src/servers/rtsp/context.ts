import type { NumberPair } from '#formats/rtsp/transport.ts'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import type { Access, StreamHub } from './hub.ts'
import type { RtspSettings } from './settings.ts'
import type { StreamFeeds } from './stream-feed.ts'
import type { UdpPorts } from './udp-ports.ts'

/** Running totals since the start. */
export type RtspCounters = {
  requests: number
  refusedRequests: number
  refusedConnections: number
  wrongPasswords: number
  /** Connections on which garbage was met, and skipped or not. */
  resyncs: number
  receivedPackets: number
  lostPackets: number
  sentUnits: number
  sentBytes: number
  /** Packets that readers say they did not get. */
  reportedLostPackets: number
  /** Datagrams left out because a reader's queue was full. */
  droppedDatagrams: number
}

/** What all connections and sessions of one server share. */
export type RtspContext = {
  readonly hub: StreamHub
  readonly access: Access
  readonly clock: Clock
  readonly log: Logger
  readonly settings: RtspSettings
  readonly udp: UdpPorts
  readonly feeds: StreamFeeds
  readonly sessions: Map<string, RtspSession>
  readonly counters: RtspCounters
}

/** The TCP connection, as a session uses it. */
export interface MediaLink {
  /** The client's address, without port. */
  readonly remoteHost: string
  /** Address and port. */
  readonly remoteAddress: string
  readonly userAgent: string | undefined
  /** Bytes handed over and not yet taken by the client. */
  readonly bufferedBytes: number
  /** Interleaved frames, headers included. */
  write(bytes: Buffer): void
  /** Closes once all that was written has left. */
  end(): void
}

/** What a connection asks of its session, whichever way the media goes. */
export interface RtspSession {
  readonly kind: 'read' | 'publish'
  /** Secret: whoever knows it may control the session. */
  readonly id: string
  readonly streamName: string
  readonly remoteHost: string
  readonly isActive: boolean
  /** Over UDP a session outlives its connection. */
  readonly isOverUdp: boolean
  /** An interleaved packet; `payload` is valid only during the call. */
  interleaved(channel: number, payload: Buffer): void
  /** The client has shown that it is there. */
  touch(): void
  /** Called a few times a second. */
  tick(nowMs: number): void
  pause(): void
  /** Idempotent. With `endConnection`, the client is also made to come anew. */
  close(reason: string, options?: { endConnection?: boolean }): void
}

/** How the media of one track travels. */
export type TrackTransport =
  | { readonly kind: 'tcp'; readonly channels: NumberPair }
  | { readonly kind: 'udp'; readonly ports: NumberPair }
