/** Who is at the other end of a connection, as shown in logs, the API and events. */
export type Peer = {
  /** Unique within the process: `rtsp-01j…`. */
  readonly id: string
  readonly protocol: 'rtsp' | 'hls' | 'recorder' | 'internal'
  /** Address and port, or a word for what has none. */
  readonly remoteAddress: string
  readonly userAgent?: string
}
