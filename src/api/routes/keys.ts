import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiKeys, ShownKey } from '#auth/api-keys.ts'
import type { ApiKey } from '#auth/key-queries.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { App } from '../app.ts'
import { pageQuerySchema } from '../contract.ts'
import {
  defaultOverlapSeconds,
  keyCreateSchema,
  keyDefaults,
  keyListSchema,
  keyParamsSchema,
  keyRotateQuerySchema,
  type KeyView,
  shownKeySchema,
  type ShownKeyView,
} from '../key-contract.ts'
import { pageOf } from '../paging.ts'
import { failures, noContentSchema } from './answers.ts'

export type KeyRouteDeps = {
  readonly keys: Pick<ApiKeys, 'list' | 'create' | 'rotate' | 'revoke'>
  readonly clock: Clock
  readonly log: Logger
}

const tags = ['keys']
const params = keyParamsSchema
const config = { isForAdmins: true }

const schemas = {
  list: {
    tags,
    summary: 'Lists API keys by id, the oldest first.',
    querystring: pageQuerySchema,
    response: { 200: keyListSchema, ...failures },
  },
  create: {
    tags,
    summary: 'Makes an API key. The answer is the only one that shows it.',
    description: 'Send it as `Authorization: Bearer mrk_…`. It may what a user with the same rights may.',
    body: keyCreateSchema,
    response: { 201: shownKeySchema, ...failures },
  },
  rotate: {
    tags,
    summary: 'Makes a new secret for an API key. The answer is the only one that shows it.',
    description: 'The secret of now stays valid for the overlap. One that was in its overlap already is valid no more.',
    params,
    querystring: keyRotateQuerySchema,
    response: { 200: shownKeySchema, ...failures },
  },
  revoke: {
    tags,
    summary: 'Ends an API key.',
    description: 'Other nodes refuse it within 5 s.',
    params,
    response: { 204: noContentSchema, ...failures },
  },
}

export function keyRoutes(app: App, { keys, clock, log }: KeyRouteDeps): void {
  app.get('/keys', { schema: schemas.list, config }, async (request) => {
    const { items, ...rest } = pageOf(await keys.list(), request.query, ({ id }) => id)
    return { ...rest, items: items.map((key) => keyView(key, clock.nowMs())) }
  })

  app.post('/keys', { schema: schemas.create, config }, async (request, reply) => {
    const { name, expiresAt, ...rights } = request.body
    const expiresAtMs = expiresAt === undefined ? undefined : Date.parse(expiresAt)
    if (expiresAtMs !== undefined && expiresAtMs <= clock.nowMs())
      throw new AppError('REQUEST_INVALID', 'body.expiresAt is in the past; give a time to come, or none')
    const shown = await keys.create({ name, rights: { ...keyDefaults, ...rights }, expiresAtMs })
    log.info(logged(request, shown.key), 'API key made')
    return show(reply.code(201), shown, clock.nowMs())
  })

  app.post('/keys/:id/rotate', { schema: schemas.rotate, config }, async (request, reply) => {
    const { overlapSeconds = defaultOverlapSeconds } = request.query
    const shown = await keys.rotate(request.params.id, { overlapMs: overlapSeconds * 1000 })
    log.info({ ...logged(request, shown.key), overlapSeconds }, 'API key rotated')
    return show(reply, shown, clock.nowMs())
  })

  app.delete('/keys/:id', { schema: schemas.revoke, config }, async (request, reply) => {
    log.info(logged(request, await keys.revoke(request.params.id)), 'API key revoked')
    return reply.code(204).send(null)
  })
}

function show(reply: FastifyReply, { key, text }: ShownKey, nowMs: number): ShownKeyView {
  void reply.header('cache-control', 'no-store')
  return { ...keyView(key, nowMs), key: text }
}

function keyView({ id, name, rights, ...key }: ApiKey, nowMs: number): KeyView {
  const { createdAtMs, rotatedAtMs, previousUntilMs = 0, expiresAtMs, lastUsedAtMs } = key
  return {
    id,
    name,
    publish: [...rights.publish],
    read: [...rights.read],
    admin: rights.admin,
    isExpired: (expiresAtMs ?? Infinity) <= nowMs,
    createdAt: isoTime(createdAtMs),
    ...(rotatedAtMs !== undefined && { rotatedAt: isoTime(rotatedAtMs) }),
    ...(previousUntilMs > nowMs && { previousValidUntil: isoTime(previousUntilMs) }),
    ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
    ...(lastUsedAtMs !== undefined && { lastUsedAt: isoTime(lastUsedAtMs) }),
  }
}

function logged({ user, ip }: FastifyRequest, { id, name }: ApiKey): Record<string, string> {
  return { keyId: id, key: name, remoteAddress: ip, ...(user !== undefined && { user }) }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
