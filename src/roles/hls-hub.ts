import type { StreamRegistry } from '#live/registry.ts'
import type { ReaderStatus } from '#live/status.ts'
import type { HlsHub } from '#servers/hls/handler.ts'
import type { HlsViewer } from '#servers/hls/viewers.ts'

/** HLS over the streams of this process: a request counts as interest first, so that an on-demand source starts for it. */
export function hlsHub(streams: StreamRegistry): HlsHub {
  return {
    openHls: async (name, { signal }) => {
      const stream = streams.require(name)
      await stream.waitUntilReadable(signal)
      return stream.packaging.watch()
    },
  }
}

/** HLS viewers in the list of readers. They have no queue: each asks for what it wants. */
export function hlsReaders(viewers: readonly HlsViewer[]): ReaderStatus[] {
  return viewers.map(({ remoteAddress, userAgent, sentBytes }) => ({
    id: `hls-${remoteAddress}`,
    protocol: 'hls',
    remoteAddress,
    ...(userAgent === undefined ? {} : { userAgent }),
    sentUnits: 0,
    sentBytes,
    droppedUnits: 0,
    queuedBytes: 0,
    queuedMs: 0,
  }))
}
