import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { anySignal } from '#lib/abort.ts'
import { parseProfileOrder, type ProfileOrder } from '#ops/profile-order.ts'
import { answerOver, type ProfileCaller, type ProfileChunks } from '#ops/profiler.ts'
import type { App } from '../app.ts'
import { allocationProfileQuerySchema, cpuProfileQuerySchema, heapSnapshotQuerySchema } from '../contract.ts'
import { failures } from './answers.ts'

/** Profiles of this process. */
export type ProfileRouteDeps = { readonly profiler: { begin(order: ProfileOrder, caller: ProfileCaller): ProfileChunks } }

const tags = ['profiles']
const file = {
  description: 'The file.',
  content: { 'application/json': { schema: Type.Unsafe<unknown>({ type: 'object' }) } },
}
const response = { 200: file, ...failures }
const common = [
  'One profile at a time; it is broken off when the client goes. An empty line comes before it for each 15 s that it takes.',
  'Without users it can be had from the machine itself only.',
].join(' ')

const schemas = {
  cpu: {
    tags,
    summary: 'Looks where the process spends its time, and answers with a .cpuprofile.',
    description: `Safe on a server at work. Chrome (DevTools, Performance) and VS Code open it. ${common}`,
    querystring: cpuProfileQuerySchema,
    response,
  },
  allocations: {
    tags,
    summary: 'Looks what allocates memory, by samples, and answers with a .heapprofile.',
    description: `Safe on a server at work. Chrome (DevTools, Memory) and VS Code open it. ${common}`,
    querystring: allocationProfileQuerySchema,
    response,
  },
  heap: {
    tags,
    summary: 'Writes down the whole heap as a .heapsnapshot. The process stands still meanwhile.',
    description: [
      'Not for a server that others wait for: it does nothing else for seconds (measured: 9 s for 145 MB of heap), and takes eight times its heap of memory',
      'for a moment, of which it keeps a part; when that is not free it is refused with PROFILE_TOO_LARGE. The file holds every text in memory, passwords and keys among them.',
      `Chrome (DevTools, Memory) opens it. ${common}`,
    ].join(' '),
    querystring: heapSnapshotQuerySchema,
    response,
  },
}
const config = { isStreaming: true }

/** `closing` fires when the server stops: a profile that is being taken is broken off. */
export function profileRoutes(app: App, { profiler }: ProfileRouteDeps, closing: AbortSignal): void {
  const answer = (order: ProfileOrder, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const over = new AbortController()
    reply.raw.once('close', () => over.abort(answerOver))
    const { user, ip: remoteAddress, headers } = request
    const chunks = profiler.begin(order, {
      ...(user !== undefined && { user }),
      remoteAddress,
      isPage: headers.origin !== undefined,
      signal: anySignal(over.signal, closing),
    })
    const body = Readable.from(chunks, { objectMode: false, highWaterMark: 64 * 1024 })
    return reply.type('application/json').header('cache-control', 'no-store').send(body)
  }
  app.post('/profiles/cpu', { schema: schemas.cpu, config }, async (request, reply) =>
    answer(parseProfileOrder('cpu', request.query), request, reply),
  )
  app.post('/profiles/allocations', { schema: schemas.allocations, config }, async (request, reply) =>
    answer(parseProfileOrder('allocations', request.query), request, reply),
  )
  app.post('/profiles/heap', { schema: schemas.heap, config }, async (request, reply) =>
    answer(parseProfileOrder('heap', {}), request, reply),
  )
}
