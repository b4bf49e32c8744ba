import type { Tracer } from '#lib/tracing.ts'
import type { App } from './app.ts'

/**
 * A span for each request of the API, from its head until its answer is gone, or its connection. It goes on with the trace that the client names in
 * `traceparent`. Viewers' HLS, files of the web application and WebSockets are left out: they are many, or last for hours.
 */
export function registerRequestTracing(app: App, tracer: Tracer): void {
  app.addHook('onRequest', async (request, reply) => {
    const { method } = request
    const route = request.routeOptions.url
    if (request.ws || !route?.startsWith('/api/')) return
    const { traceparent } = request.headers
    const span = tracer.start(`${method} ${route}`, {
      kind: 'server',
      parent: typeof traceparent === 'string' ? traceparent : undefined,
      attributes: {
        'http.request.method': method,
        'http.route': route,
        'url.path': request.url.split('?', 1)[0],
        'client.address': request.ip,
        'user_agent.original': request.headers['user-agent'],
      },
    })
    request.span = span
    reply.raw.once('close', () => {
      if (reply.raw.headersSent) span.set({ 'http.response.status_code': reply.raw.statusCode })
      span.end()
    })
  })
}
