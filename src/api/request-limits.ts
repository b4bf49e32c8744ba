import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '#lib/errors.ts'
import type { App } from './app.ts'
import type { RequestLimiter } from './request-limiter.ts'
import type { RequestObserver } from './request-log.ts'

export type RequestLimitDeps = {
  /** Absent: everybody may send as many as he wants. */
  readonly limiter?: RequestLimiter
  readonly observer?: Pick<RequestObserver, 'countLimited'>
}

/**
 * Limits how many requests a client (the user or key, else the address) sends to the routes of this scope, except those that are `isUnlimited`, and
 * WebSockets. Comes after whoever says which user it is.
 */
export function registerRequestLimits(app: App, deps: RequestLimitDeps): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.isUnlimited || request.ws) return
    limitRequest(request.user ?? request.ip, reply, deps)
  })
}

/** Wrong credentials count for the address, whatever they are for: nobody tries passwords faster than that. */
export function limitWrongCredentials({ headers, ip }: FastifyRequest, reply: FastifyReply, deps: RequestLimitDeps): void {
  if (headers.authorization !== undefined) limitRequest(ip, reply, deps)
}

/** Throws `RATE_LIMITED`. */
function limitRequest(client: string, reply: FastifyReply, { limiter, observer }: RequestLimitDeps): void {
  const taken = limiter?.take(client)
  if (!limiter || taken?.kind !== 'empty') return
  const retryAfterSeconds = Math.max(1, Math.ceil(taken.retryAfterMs / 1000))
  observer?.countLimited()
  void reply.header('retry-after', String(retryAfterSeconds))
  throw new AppError(
    'RATE_LIMITED',
    `${client} sends more than ${limiter.requestsPerSecond} requests a second, after ${limiter.burst} at once; send fewer, or raise api.requestsPerSecond and api.requestBurst`,
    { details: { retryAfterSeconds } },
  )
}
