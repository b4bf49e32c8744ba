import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isProfileKind, parseProfileOrder } from './profile-order.ts'
import { answerOver, type Profiler } from './profiler.ts'

/**
 * Answers `POST /api/v1/profiles/<kind>` as the API does, on a server that has nothing but `node:http` and knows no users; false when the request is about
 * something else. Throws what `Profiler.begin` throws before anything is answered.
 */
export async function answerProfile(profiler: Profiler, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  const [, kind = '', query] = /^\/api\/v1\/profiles\/(\w+)(?:\?(.*))?$/.exec(request.url ?? '') ?? []
  if (request.method !== 'POST' || !isProfileKind(kind)) return false
  const order = parseProfileOrder(kind, Object.fromEntries(new URLSearchParams(query)))
  const over = new AbortController()
  response.once('close', () => over.abort(answerOver))
  const chunks = Readable.from(profiler.begin(order, { ...callerOf(request), signal: over.signal }), { objectMode: false })
  // A profile that is refused later has its coded answer, too.
  await once(chunks, 'readable')
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  // When the client goes away, or the profile is broken off, the connection is closed: there is no other way to say so.
  await pipeline(chunks, response).catch(() => {})
  return true
}

function callerOf({ socket, headers }: IncomingMessage): { remoteAddress: string; isPage: boolean } {
  // A proxy on this machine hands on what comes from others; whom it names may be made up.
  const forwardedFor = headers['x-forwarded-for'] ?? headers.forwarded
  const remoteAddress = forwardedFor === undefined ? socket.remoteAddress : `a client of a proxy (${String(forwardedFor)})`
  return { remoteAddress: remoteAddress ?? 'an unknown address', isPage: headers.origin !== undefined }
}
