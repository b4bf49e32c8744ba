import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Span } from '#lib/tracing.ts'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'

/** Fastify as the routes see it: schemas are TypeBox, handlers get their types from them. */
export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, TypeBoxTypeProvider>

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks: the name of a user, or `key:<name>`; undefined where nobody need say. */
    user: string | undefined
    /** Of a request that is traced. */
    span: Span | undefined
  }
  interface FastifyContextConfig {
    /** The answer takes as long as the client wants (media, WebSocket): not slow, and no use in a histogram of durations. */
    isStreaming?: boolean
    /** Answered without credentials. */
    isOpen?: boolean
    /** Looking, too, takes an admin. */
    isForAdmins?: boolean
    /** Does not count for the limit of requests: media, records, and what workers say. */
    isUnlimited?: boolean
  }
}
