import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { http } from '#lib/node-http.ts'

export type PostAnswer = { readonly status: number; readonly text: string }

/**
 * One request by `node:http`, on a connection that is kept: `fetch` would add 17 MB to a server that only waits for work. Redirects are not followed.
 * Throws what the connection fails with; when the signal fires, an error whose `cause` is its reason.
 */
export async function postJson(
  url: URL,
  { json, headers, signal }: { json: string; headers: Readonly<Record<string, string>>; signal: AbortSignal },
): Promise<PostAnswer> {
  const { request } = url.protocol === 'https:' ? await import('node:https') : http
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const entity = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }
  request(url, { method: 'POST', headers: { ...headers, ...entity }, signal })
    .once('response', resolve)
    .on('error', reject)
    .end(json)
  const response = await promise
  return { status: response.statusCode ?? 0, text: await text(response) }
}
