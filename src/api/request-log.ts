import type { Logger } from '#lib/log.ts'
import { traceFields } from '#lib/tracing.ts'
import type { App } from './app.ts'

/** An answer that takes longer than this is worth a look. */
const slowMs = 1000

/** Where finished requests are counted. `seconds` is absent where the client sets the pace. */
export interface RequestObserver {
  observe(request: { method: string; route: string; status: number; seconds?: number }): void
  /** A request was refused because its client sent too many. */
  countLimited(): void
}

/** Logs each request: at `debug`, or at `warn` when it was slow or our fault. Queries stay out of the log: they may hold tokens. */
export function registerRequestLog(app: App, { log, observer }: { log: Logger; observer?: RequestObserver }): void {
  app.addHook('onResponse', async (request, reply) => {
    const isStreaming = request.routeOptions.config.isStreaming === true
    const { method } = request
    const status = reply.statusCode
    const ms = Math.round(reply.elapsedTime)
    const path = request.url.split('?', 1)[0]
    const { user, ip: remoteAddress, span } = request
    const fields = { method, path, status, ms, remoteAddress, ...(user !== undefined && { user }), ...traceFields(span) }
    const isSlow = ms >= slowMs && !isStreaming
    if (status >= 500) log.warn(fields, 'request answered with a fault')
    else if (isSlow) log.warn(fields, 'request was slow')
    else log.debug(fields, 'request')
    const route = request.routeOptions.url ?? 'none'
    observer?.observe({ method, route, status, ...(isStreaming ? {} : { seconds: reply.elapsedTime / 1000 }) })
  })
}
