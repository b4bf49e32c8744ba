import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError } from '#lib/errors.ts'
import type { App } from './app.ts'

/** What a path below a mount names: `/hls/site/gate/index.m3u8` is file `index.m3u8` of stream `site/gate`. */
export type MountTarget = {
  readonly stream: string
  readonly file: string
  readonly query: URLSearchParams
  /** Fires when the server stops: what would wait is to answer now. */
  readonly closing: AbortSignal
}

/** A server of another protocol that answers below a prefix of ours. It writes the answer itself, headers and all. */
export type Mount = {
  /** Begins and ends with `/`. */
  readonly prefix: string
  /** May throw before it has begun to answer: that is answered as any error of the API. */
  handle(request: IncomingMessage, response: ServerResponse, target: MountTarget): Promise<void> | void
}

export function registerMounts(app: App, mounts: readonly Mount[], closing: AbortSignal): void {
  for (const mount of mounts) {
    app.route<{ Params: { '*': string } }>({
      method: ['GET', 'HEAD', 'OPTIONS'],
      url: `${mount.prefix}*`,
      schema: { hide: true },
      config: { isStreaming: true },
      handler: async (request, reply) => {
        const query = new URLSearchParams(request.url.split('?')[1])
        const target = { ...splitPath(request.params['*']), query, closing }
        for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(name, value)
        // The mounted server itself says which origins may read.
        reply.raw.setHeader('cross-origin-resource-policy', 'cross-origin')
        try {
          await mount.handle(request.raw, reply.raw, target)
        } catch (error) {
          if (!reply.raw.headersSent) throw error
          request.log.warn({ err: error, path: request.url }, 'answer broken off')
          reply.raw.destroy()
        }
        return reply.hijack()
      },
    })
  }
}

/** Throws `ROUTE_NOT_FOUND` for a path without a file. */
function splitPath(path: string): { stream: string; file: string } {
  const slash = path.lastIndexOf('/')
  if (slash <= 0 || slash === path.length - 1) throw new AppError('ROUTE_NOT_FOUND', `"${path}" names no file of a stream`)
  return { stream: path.slice(0, slash), file: path.slice(slash + 1) }
}
