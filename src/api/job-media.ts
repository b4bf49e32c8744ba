import { AppError } from '#lib/errors.ts'
import type { JobMedia, LiveLink } from '#jobs/scheduler/worker-access.ts'
import type { StreamStatus } from '#live/status.ts'
import type { PlaybackService } from './routes/playback.ts'

type Deps = {
  readonly streams: { find(name: string): StreamStatus | undefined }
  readonly playback: Pick<PlaybackService, 'timeline'>
  /** Gives an address of this server its own permission. */
  readonly signer: { sign(path: string, options: { readonly ttlSeconds: number }): string }
  /** Undefined: this process has no RTSP server. */
  readonly rtspPort: () => number | undefined
  /** `name:password` of somebody who may read and publish all streams; undefined while nobody needs a password. */
  readonly credential: () => string | undefined
}

/** Workers ask for a fresh one when it is over. */
const ttlSeconds = 3600

/** Streams and recordings of this server, as workers reach them. */
export function jobMedia({ streams, playback, signer, rtspPort, credential }: Deps): JobMedia {
  return {
    async recordingUrl({ stream, from, to }) {
      const stretches = await playback.timeline({ stream, fromMs: Date.parse(from), toMs: Date.parse(to) })
      if (stretches.length === 0) {
        throw new AppError('RECORDING_NOT_FOUND', `nothing of stream "${stream}" is recorded from ${from} to ${to}`)
      }
      const query = new URLSearchParams({ from, to }).toString()
      return signer.sign(`/api/v1/streams/${encodeURIComponent(stream)}/export.mp4?${query}`, { ttlSeconds })
    },
    async liveLink({ source, target }, host) {
      const stream = streams.find(source)
      if (stream === undefined) throw new AppError('STREAM_NOT_FOUND', `no stream is called "${source}"`)
      const port = rtspPort()
      if (port === undefined) {
        throw new AppError('UNSUPPORTED', 'this server speaks no RTSP, which live jobs need; turn on rtsp.enabled')
      }
      const user = credential()
      const base = `rtsp://${user === undefined ? '' : `${encodeCredential(user)}@`}${host}:${port}`
      return { sourceUrl: `${base}/${source}`, targetUrl: `${base}/${target}`, ...pictureOf(stream) }
    },
  }
}

function pictureOf({ state, tracks }: StreamStatus): Pick<LiveLink, 'width' | 'height' | 'hasAudio'> {
  if (state !== 'online') return {}
  const { width, height } = tracks.find(({ kind }) => kind === 'video') ?? {}
  const hasAudio = tracks.some(({ kind }) => kind === 'audio')
  return { ...(width === undefined || height === undefined ? {} : { width, height }), hasAudio }
}

function encodeCredential(user: string): string {
  const colon = user.indexOf(':')
  return `${encodeURIComponent(user.slice(0, colon))}:${encodeURIComponent(user.slice(colon + 1))}`
}
