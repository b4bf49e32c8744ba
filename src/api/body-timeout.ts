import type { App } from './app.ts'
import { refuseConnection, requestTimeout } from './error-answers.ts'

/**
 * Ends requests whose body does not arrive in time, but for routes whose client sets the pace. Node's own `requestTimeout` is for all requests or none, and
 * would break off an upload of an hour.
 */
export function registerBodyTimeout(app: App, { timeoutMs }: { timeoutMs: number }): void {
  app.addHook('onRequest', async ({ raw, routeOptions }, reply) => {
    const hasBody = raw.headers['content-length'] !== undefined || raw.headers['transfer-encoding'] !== undefined
    if (!hasBody || routeOptions.config.isStreaming) return
    const timer = setTimeout(() => {
      if (!raw.complete && !reply.raw.headersSent) refuseConnection(raw.socket, requestTimeout)
    }, timeoutMs)
    reply.raw.once('close', () => clearTimeout(timer))
  })
}
