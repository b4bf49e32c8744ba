import { request as open, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { startHttpServer } from '../../support/http-server.ts'

export type LosingProxyOptions = {
  /** Asked when the answer is there: whether it gets lost. What was asked for is done then. */
  readonly isLost?: (path: string, answer: string) => boolean
  /** A request that waits on its way until this resolves. */
  readonly hold?: (path: string) => Promise<void> | undefined
}

/** A way to an HTTP server on which whole answers get lost and requests are late. */
export async function startLosingProxy(
  targetUrl: string,
  options: LosingProxyOptions,
): Promise<{ readonly url: string } & AsyncDisposable> {
  return await startHttpServer((request, response) => {
    pass(targetUrl, options, { request, response }).catch(() => response.destroy())
  })
}

async function pass(
  targetUrl: string,
  { isLost, hold }: LosingProxyOptions,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const { url: path = '/', method, headers } = request
  const body = await buffer(request)
  await hold?.(path)
  // Host and all else as it came: the server signs addresses on this proxy.
  const passed = open(new URL(path, targetUrl), { method, headers, setHost: false })
  response.once('close', () => passed.destroy())
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  passed.on('response', resolve).on('error', reject).end(body)
  const answer = await promise
  const content = await buffer(answer)
  if (isLost?.(path, content.toString())) return void response.destroy()
  response.writeHead(answer.statusCode ?? 502, answer.headers).end(content)
}
