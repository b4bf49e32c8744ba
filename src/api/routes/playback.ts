import { Type } from 'typebox'
import type { PlaybackRange } from '#live/playback/recorded-range.ts'
import type { PlaybackStretch } from '#live/playback/timeline.ts'
import type { App } from '../app.ts'
import {
  recordingParamsSchema,
  streamParamsSchema,
  timelineSchema,
  timeRangeQuerySchema,
  exportQuerySchema,
} from '../contract.ts'
import { type Media, sendMedia } from '../media-answer.ts'
import { parseTimeRange } from '../time-range.ts'
import { failures } from './answers.ts'

/** What was recorded, as something to look at. All but `timeline` throw `RECORDING_NOT_FOUND` when nothing is there. */
export interface PlaybackService {
  timeline(range: PlaybackRange): Promise<PlaybackStretch[]>
  /** A complete HLS playlist; `mediaUrl` gives the address of a recorded file. */
  playlist(range: PlaybackRange, options: { mediaUrl: (id: string) => string }): Promise<string>
  openMedia(id: string): Promise<Media>
  /** One MP4 of the whole range, and a name for it. */
  openExport(range: PlaybackRange): Promise<Media & { readonly fileName: string }>
}

const mediaSchema = {
  description: 'The bytes.',
  content: { 'video/mp4': { schema: Type.Unsafe<unknown>({ type: 'string', format: 'binary' }) } },
}
const playlistSchema = { description: 'HLS, RFC 8216.', content: { 'application/vnd.apple.mpegurl': { schema: Type.String() } } }
const mediaAnswers = { 200: mediaSchema, 206: mediaSchema, ...failures }

const tags = ['playback']
const range = { params: streamParamsSchema, querystring: timeRangeQuerySchema }
const schemas = {
  timeline: {
    tags,
    summary: 'When a stream was recorded: stretches without a gap.',
    ...range,
    response: { 200: timelineSchema, ...failures },
  },
  playlist: {
    tags,
    summary: 'A time range as an HLS playlist, across gaps.',
    ...range,
    response: { 200: playlistSchema, ...failures },
  },
  media: { tags, summary: 'A recorded file; byte ranges work.', params: recordingParamsSchema, response: mediaAnswers },
  export: {
    tags,
    summary: 'A time range as one MP4 to download; byte ranges work.',
    params: streamParamsSchema,
    querystring: exportQuerySchema,
    response: mediaAnswers,
  },
}
/** How long an answer with media takes is up to the client. */
const config = { isStreaming: true, isUnlimited: true }
const playlistConfig = { isUnlimited: true }

export function playbackRoutes(app: App, { playback }: { playback: PlaybackService }): void {
  app.get('/streams/:name/timeline', { schema: schemas.timeline }, async (request) => {
    const stretches = await playback.timeline({ stream: request.params.name, ...parseTimeRange(request.query) })
    return { items: stretches.map(stretchView) }
  })

  app.get('/streams/:name/playback.m3u8', { schema: schemas.playlist, config: playlistConfig }, async (request, reply) => {
    const wanted = { stream: request.params.name, ...parseTimeRange(request.query) }
    const playlist = await playback.playlist(wanted, { mediaUrl: (id) => `/api/v1/recordings/${id}/media.mp4` })
    return reply.type('application/vnd.apple.mpegurl').header('cache-control', 'no-cache').send(playlist)
  })

  app.get('/recordings/:id/media.mp4', { schema: schemas.media, config }, async (request, reply) => {
    const media = await playback.openMedia(request.params.id)
    return sendMedia(request, reply, media, { contentType: 'video/mp4', cacheControl: 'private, no-cache' })
  })

  app.get('/streams/:name/export.mp4', { schema: schemas.export, config }, async (request, reply) => {
    const media = await playback.openExport({ stream: request.params.name, ...parseTimeRange(request.query) })
    const answer = { contentType: 'video/mp4', cacheControl: 'private, no-cache', downloadName: media.fileName }
    return sendMedia(request, reply, media, answer)
  })
}

function stretchView({ startedAtMs, endedAtMs, sizeBytes, segmentCount, archivedUntilMs }: PlaybackStretch) {
  return {
    startedAt: new Date(startedAtMs).toISOString(),
    endedAt: new Date(endedAtMs).toISOString(),
    sizeBytes,
    segmentCount,
    ...(archivedUntilMs === undefined ? {} : { archivedUntil: new Date(archivedUntilMs).toISOString() }),
  }
}
