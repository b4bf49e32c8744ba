import type { StreamView } from './api.ts'

const states: Record<StreamView['state'], string> = {
  online: 'Live',
  offline: 'Offline',
  connecting: 'Connecting',
  idle: 'On demand',
  stopped: 'Stopped',
}

/** Nobody calls for a stream that waits to be published; the ones with an address are being connected to. */
export function stateText({ state, sources }: Pick<StreamView, 'state' | 'sources'>): string {
  const isWaiting = state === 'connecting' && sources.every((source) => source.state === 'waiting')
  return isWaiting ? 'Waiting' : states[state]
}

/** Why there is no picture in a list. */
export function noPictureText({ state, sources, urls }: Pick<StreamView, 'state' | 'sources' | 'urls'>): string {
  switch (state) {
    case 'stopped':
      return 'Stopped by hand'
    case 'idle':
      return 'Starts when somebody watches'
    case 'online':
      return urls.hls === undefined ? 'HLS is off; watch it over RTSP' : 'Open it to watch'
    case 'offline':
    case 'connecting':
      return sources.find(({ error }) => error)?.error?.message ?? waitingText(sources)
    default:
      return state satisfies never
  }
}

/** `640×360`; absent without video. */
export function pictureSizeText(tracks: StreamView['tracks']): string | undefined {
  const video = tracks.find(({ kind }) => kind === 'video')
  return video?.width === undefined || video.height === undefined ? undefined : `${video.width}×${video.height}`
}

/** `H264 + AAC`; absent before anything came. */
export function codecsText(tracks: StreamView['tracks']): string | undefined {
  return tracks.length === 0 ? undefined : tracks.map(({ codec }) => codec.toUpperCase()).join(' + ')
}

function waitingText(sources: StreamView['sources']): string {
  return sources.some(({ url }) => url === 'publish') ? 'Waiting for a publisher' : 'Waiting for the source'
}
