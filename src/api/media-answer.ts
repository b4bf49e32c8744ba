import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '#lib/errors.ts'

/** Bytes with a known size that can be read from anywhere: a recorded file, an MP4 that is put together while it is sent. */
export interface Media extends AsyncDisposable {
  readonly sizeBytes: number
  /** Names these very bytes: another size or content has another one. Without quotes. */
  readonly etag: string
  /** From `start` up to and without `end`; only as far as it is taken. */
  read(range: { start: number; end: number }): AsyncIterable<Uint8Array>
}

export type MediaAnswer = {
  readonly contentType: string
  /** Saved under this name instead of played. */
  readonly downloadName?: string
  readonly cacheControl: string
}

/**
 * Sends media with ranges, RFC 9110 §14: one range gives 206, none 200, one behind the end 416. Several ranges at once give all, which §14.2
 * allows. Reads only as fast as the client takes, and stops when it goes away; the media is closed in any case.
 */
export async function sendMedia(
  request: FastifyRequest,
  reply: FastifyReply,
  media: Media,
  answer: MediaAnswer,
): Promise<FastifyReply> {
  const etag = `"${media.etag}"`
  const { sizeBytes } = media
  void reply.header('etag', etag).header('accept-ranges', 'bytes').header('cache-control', answer.cacheControl)
  if (isListed(request.headers['if-none-match'], etag)) {
    await media[Symbol.asyncDispose]()
    return reply.code(304).send()
  }
  const range = requestedRange(request, { etag, sizeBytes })
  if (range === 'unsatisfiable') {
    await media[Symbol.asyncDispose]()
    void reply.header('content-range', `bytes */${sizeBytes}`)
    throw new AppError('RANGE_NOT_SATISFIABLE', `${request.headers.range} begins behind the end: there are ${sizeBytes} bytes`, {
      details: { sizeBytes },
    })
  }
  void reply.type(answer.contentType)
  if (answer.downloadName !== undefined) void reply.header('content-disposition', attachment(answer.downloadName))
  const { start, end } = range ?? { start: 0, end: sizeBytes }
  if (range) void reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${sizeBytes}`)
  void reply.header('content-length', end - start)
  if (request.method === 'HEAD') {
    await media[Symbol.asyncDispose]()
    // Fastify reads a stream to its end for HEAD, and sets a length of 0 when there is none.
    return reply.send(Readable.from([]))
  }
  return reply.send(Readable.from(closing(media, { start, end }), { objectMode: false, highWaterMark: 64 * 1024 }))
}

/** The bytes; the media is closed after the last one, on a fault, and when the client goes away. */
async function* closing(media: Media, range: { start: number; end: number }): AsyncGenerator<Uint8Array, void, undefined> {
  await using _ = media
  yield* media.read(range)
}

type Range = { start: number; end: number }

/** The one range that is asked for, `end` exclusive; undefined: all of it. `If-Range` (§13.1.5) with another version asks for all, too. */
function requestedRange(
  request: FastifyRequest,
  { etag, sizeBytes }: { etag: string; sizeBytes: number },
): Range | 'unsatisfiable' | undefined {
  const { range: header, 'if-range': ifRange } = request.headers
  if (header === undefined || (ifRange !== undefined && ifRange !== etag)) return undefined
  return parseRange(header, sizeBytes)
}

/** RFC 9110 §14.1.2. What is not understood, and more than one range, is `undefined`: the header is ignored, as §14.2 says. */
export function parseRange(header: string, sizeBytes: number): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/.exec(header)
  if (!match) return undefined
  const [, first = '', last = ''] = match
  if (first === '') {
    if (last === '') return undefined
    const suffixBytes = Math.min(Number(last), sizeBytes)
    return suffixBytes === 0 ? 'unsatisfiable' : { start: sizeBytes - suffixBytes, end: sizeBytes }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  if (start >= sizeBytes) return 'unsatisfiable'
  return { start, end: last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) }
}

/** `If-None-Match`, §13.1.2: weak comparison. */
function isListed(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((listed) => listed.trim() === '*' || listed.trim().replace(/^W\//, '') === etag)
}

/** RFC 6266 with the RFC 8187 form for names beyond ASCII; our names have none, and no quotes. */
function attachment(name: string): string {
  return `attachment; filename="${name.replaceAll(/[^A-Za-z0-9._-]/g, '_')}"`
}
