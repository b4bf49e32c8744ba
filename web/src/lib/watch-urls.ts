import type { StreamView } from './api.ts'

type Watchable = Pick<StreamView, 'isEnabled' | 'state' | 'spec' | 'urls'>

/** Where a stream is watched live; absent while there is nothing to see. An on-demand stream starts by being watched. */
export function liveUrl(stream: Watchable): string | undefined {
  const isWatchable = stream.state === 'online' || (stream.isEnabled && stream.spec.onDemand)
  return isWatchable ? hlsPath(stream) : undefined
}

/** The playlist of whole segments beside it. Absent for on-demand streams too: a list on a wall would keep them running for ever. */
export function previewUrl(stream: Watchable): string | undefined {
  const isWatchable = stream.state === 'online' && !stream.spec.onDemand
  return isWatchable ? hlsPath(stream)?.replace(/index\.m3u8$/, 'plain.m3u8') : undefined
}

/** On the page's own origin, whatever name of the host the server wrote: the page may connect to no other. */
function hlsPath({ urls }: Watchable): string | undefined {
  return urls.hls === undefined ? undefined : new URL(urls.hls).pathname
}
