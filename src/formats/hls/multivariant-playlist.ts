/** One rendition of a stream, RFC 8216bis §4.4.6.2. */
export type Variant = {
  readonly uri: string
  /** Highest bit rate of any segment. */
  readonly bandwidthBps: number
  readonly averageBandwidthBps?: number
  /** RFC 6381. */
  readonly codecs: string
  readonly resolution?: { readonly width: number; readonly height: number }
  readonly framesPerSecond?: number
}

/** A multivariant playlist, RFC 8216bis §4.4.6. */
export function renderMultivariantPlaylist(variants: readonly Variant[]): string {
  const lines = ['#EXTM3U', '#EXT-X-VERSION:10']
  for (const variant of variants) lines.push(`#EXT-X-STREAM-INF:${attributes(variant).join(',')}`, variant.uri)
  return `${lines.join('\n')}\n`
}

function attributes(variant: Variant): string[] {
  const { resolution, framesPerSecond, averageBandwidthBps } = variant
  return [
    `BANDWIDTH=${Math.ceil(variant.bandwidthBps)}`,
    ...(averageBandwidthBps ? [`AVERAGE-BANDWIDTH=${Math.ceil(averageBandwidthBps)}`] : []),
    `CODECS="${variant.codecs}"`,
    ...(resolution ? [`RESOLUTION=${resolution.width}x${resolution.height}`] : []),
    ...(framesPerSecond ? [`FRAME-RATE=${framesPerSecond.toFixed(3)}`] : []),
  ]
}
