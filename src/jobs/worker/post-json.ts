import type { IncomingMessage } from 'node:http'
import type { Agent } from 'node:https'
import { text } from 'node:stream/consumers'
import { http } from '#lib/node-http.ts'

type PostOptions = {
  readonly json: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly agent?: Agent | undefined
}
export type PostAnswer = { readonly status: number; readonly text: string }

/**
 * One request by `node:http`, on a connection that is kept: `fetch` would add 17 MB to a server that only waits for work. Redirects are not followed.
 * `agent` makes the connections over TLS.
 * Throws what the connection fails with; when the signal fires, an error whose `cause` is its reason.
 */
export async function postJson(url: URL, { json, headers, signal, agent }: PostOptions): Promise<PostAnswer> {
  const isSecure = url.protocol === 'https:'
  const { request } = isSecure ? await import('node:https') : http
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const entity = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }
  request(url, { method: 'POST', headers: { ...headers, ...entity }, signal, ...(isSecure && agent && { agent }) })
    .once('response', resolve)
    .on('error', reject)
    .end(json)
  const response = await promise
  return { status: response.statusCode ?? 0, text: await text(response) }
}
