import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { playlistContentType } from '#formats/hls/media-playlist.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { errnoOf } from '#live/recorder/recording-disk.ts'
import { playlistFiles } from '#live/packager/hls-names.ts'
import type { HlsBody, HlsFile } from '#live/packager/hls-file.ts'
import type { HlsWindow } from '#live/packager/hls-window.ts'
import type { RenderedPlaylist } from '#live/packager/rendered-playlist.ts'
import { parseRange, sliceChunks } from './byte-range.ts'
import { openStored } from './stored-media.ts'
import { Viewers, type HlsViewer } from './viewers.ts'

/** Who asks. */
export type ViewerIdentity = { readonly remoteAddress: string; readonly userAgent?: string }

/** What HLS needs of the live core. */
export interface HlsHub {
  /**
   * The window of a stream, made when nobody watched before. Each call keeps it for another while.
   * Throws `STREAM_NOT_FOUND`, `STREAM_OFFLINE`, `STREAM_STOPPED`, `STREAM_LIMIT`, `CODEC_UNSUPPORTED`.
   */
  openHls(stream: string, options: { signal: AbortSignal; viewer: ViewerIdentity }): Promise<HlsWindow>
}

/** Whether a request may read a stream: returns, or throws `UNAUTHORIZED` or `FORBIDDEN`. */
export type AuthorizeRead = (request: IncomingMessage, stream: string) => Promise<void>

/** A request for `file` of `stream`, taken from the URL by whoever mounts the handler. */
export type HlsTarget = {
  readonly stream: string
  readonly file: string
  readonly query: URLSearchParams
  /** Fires when the server stops: requests that wait are answered at once. */
  readonly closing?: AbortSignal
}

export type HlsHandler = {
  /** Answers the request; never rejects. */
  handle(request: IncomingMessage, response: ServerResponse, target: HlsTarget): Promise<void>
  /** Who watched in the last ten seconds. */
  viewers(stream: string): HlsViewer[]
}

type HlsDeps = { hub: HlsHub; clock: Clock; log: Logger; authorize?: AuthorizeRead }

/**
 * Serves streams as HLS and low-latency HLS (RFC 8216bis): `index.m3u8`, `live.m3u8`, `plain.m3u8` and the media that they name.
 * Playlists are always asked for anew; media never changes under its name and is kept by caches.
 */
export function createHlsHandler(deps: HlsDeps): HlsHandler {
  const viewers = new Viewers({ clock: deps.clock })
  return {
    handle: async (request, response, target) => {
      setCorsHeaders(response)
      try {
        await answer({ ...deps, viewers }, request, response, target)
      } catch (thrown) {
        sendError(response, toAppError(thrown), { log: deps.log, target })
      }
    },
    viewers: (stream) => viewers.of(stream),
  }
}

const allowedMethods = 'GET, HEAD, OPTIONS'

async function answer(
  { hub, viewers, authorize }: HlsDeps & { viewers: Viewers },
  request: IncomingMessage,
  response: ServerResponse,
  target: HlsTarget,
): Promise<void> {
  if (request.method === 'OPTIONS') {
    response.writeHead(204, { Allow: allowedMethods }).end()
    return
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', allowedMethods)
    throw new AppError('METHOD_NOT_ALLOWED', `${request.method} is not for HLS files; use GET`)
  }
  const { stream, file } = target
  await authorize?.(request, stream)
  const viewer = identify(request)
  const signal = AbortSignal.any([closedSignal(response), ...(target.closing ? [target.closing] : [])])
  const window = await hub.openHls(stream, { signal, viewer })
  viewers.see(stream, viewer)
  const playlist = await findPlaylist(window, target, signal)
  const sentBytes = playlist
    ? sendPlaylist(request, response, playlist)
    : await sendMedia(request, response, await window.file(file, { signal }))
  viewers.countSent(stream, viewer, sentBytes)
}

async function findPlaylist(
  window: HlsWindow,
  { file, query }: HlsTarget,
  signal: AbortSignal,
): Promise<RenderedPlaylist | undefined> {
  if (file === playlistFiles.multivariant) return window.multivariantPlaylist({ signal })
  if (file === playlistFiles.plain) return window.plainPlaylist({ signal })
  if (file !== playlistFiles.live) return undefined
  const msn = parsePosition(query, '_HLS_msn')
  const part = parsePosition(query, '_HLS_part')
  const skip = query.has('_HLS_skip')
  return window.playlist({ skip, signal, ...(msn === undefined ? {} : { msn }), ...(part === undefined ? {} : { part }) })
}

function parsePosition(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (!/^\d{1,9}$/.test(text)) throw new AppError('REQUEST_INVALID', `${name} is "${text.slice(0, 20)}"; send a whole number`)
  return Number(text)
}

function identify({ socket, headers }: IncomingMessage): ViewerIdentity {
  const userAgent = headers['user-agent']?.slice(0, 256)
  return { remoteAddress: socket.remoteAddress ?? 'unknown', ...(userAgent ? { userAgent } : {}) }
}

/** Fires when the player gives up before it has its answer. */
function closedSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => controller.abort())
  return controller.signal
}

function setCorsHeaders(response: ServerResponse): void {
  response.setHeader('Access-Control-Allow-Origin', '*')
  response.setHeader('Access-Control-Allow-Methods', allowedMethods)
  response.setHeader('Access-Control-Allow-Headers', 'Authorization, Content-Type, Range')
  response.setHeader('Access-Control-Expose-Headers', 'Accept-Ranges, Content-Length, Content-Range, Date')
  response.setHeader('Access-Control-Max-Age', '86400')
}

function sendPlaylist(request: IncomingMessage, response: ServerResponse, playlist: RenderedPlaylist): number {
  const isCompressed = acceptsGzip(request.headers['accept-encoding'])
  const bytes = isCompressed ? playlist.gzip : playlist.bytes
  response.writeHead(200, {
    'Content-Type': playlistContentType,
    'Cache-Control': 'no-cache',
    'Content-Length': bytes.length,
    Vary: 'Accept-Encoding',
    ...(isCompressed ? { 'Content-Encoding': 'gzip' } : {}),
  })
  return sendBody(request, response, [bytes])
}

async function sendMedia(request: IncomingMessage, response: ServerResponse, file: HlsFile): Promise<number> {
  const range = parseRange(request.headers.range, file.sizeBytes)
  if (range.kind === 'unsatisfiable') {
    response
      .writeHead(416, { 'Content-Range': `bytes */${file.sizeBytes}`, 'Content-Length': 0, 'Cache-Control': 'no-store' })
      .end()
    return 0
  }
  const { start, end } = range.kind === 'part' ? range : { start: 0, end: file.sizeBytes }
  const writeHead = (): void => {
    response.writeHead(range.kind === 'part' ? 206 : 200, {
      'Accept-Ranges': 'bytes',
      'Content-Type': file.contentType,
      'Cache-Control': 'max-age=3600, immutable',
      'Content-Length': end - start,
      ...(range.kind === 'part' ? { 'Content-Range': `bytes ${start}-${end - 1}/${file.sizeBytes}` } : {}),
    })
  }
  if (file.body.kind === 'stored') return sendStored(request, response, { ranges: file.body.ranges, start, end, writeHead })
  writeHead()
  return sendBody(request, response, sliceChunks(file.body.chunks, start, end))
}

type StoredAnswer = {
  readonly ranges: Extract<HlsBody, { kind: 'stored' }>['ranges']
  readonly start: number
  readonly end: number
  readonly writeHead: () => void
}

/** Streams from the recording as fast as the player takes it; returns how much was sent. A player that leaves is no fault. */
async function sendStored(request: IncomingMessage, response: ServerResponse, answered: StoredAnswer): Promise<number> {
  const { ranges, start, end, writeHead } = answered
  await using media = await openStored(ranges)
  if (response.destroyed) return 0
  writeHead()
  if (request.method === 'HEAD') {
    response.end()
    return 0
  }
  try {
    await pipeline(media.read(start, end), response)
  } catch (error) {
    if (errnoOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
  return end - start
}

/** Writes the buffers as they are, shared with all other viewers; returns their size. */
function sendBody(request: IncomingMessage, response: ServerResponse, chunks: readonly Buffer[]): number {
  if (request.method === 'HEAD') {
    response.end()
    return 0
  }
  response.cork()
  for (const chunk of chunks) response.write(chunk)
  response.end()
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0)
}

function sendError(response: ServerResponse, error: AppError, { log, target }: { log: Logger; target: HlsTarget }): void {
  const { code, message, httpStatus } = error
  if (code === 'INTERNAL') log.error({ err: error, stream: target.stream, file: target.file }, 'HLS request failed')
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = Buffer.from(JSON.stringify({ code, message }))
  response.writeHead(httpStatus, {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    'Content-Length': body.length,
  })
  response.end(body)
}

/** Whether gzip is among the codings and not refused by `q=0`, RFC 9110 §12.5.3. */
function acceptsGzip(header: string | string[] | undefined): boolean {
  const codings = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',')
  return codings.some((coding) => /^\s*(gzip|\*)\s*(;\s*q=(1|0\.\d*[1-9]).*)?$/i.test(coding))
}
