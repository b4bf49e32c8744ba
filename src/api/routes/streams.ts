import type { FastifyRequest } from 'fastify'
import { AppError } from '#lib/errors.ts'
import type { ReaderStatus, StreamStatus } from '#live/status.ts'
import type { App } from '../app.ts'
import {
  pageQuerySchema,
  type PartialStreamSpec,
  partialStreamSpecSchema,
  readerListSchema,
  type RecordingAction,
  recordingActions,
  streamCreateSchema,
  streamListQuerySchema,
  streamListSchema,
  streamParamsSchema,
  type StreamView,
  streamViewSchema,
} from '../contract.ts'
import { pageOf } from '../paging.ts'
import { streamView, type WatchEndpoints, withKnownCredentials } from '../stream-view.ts'
import { failures, noContentSchema } from './answers.ts'

/** The streams of this process. All that take a name, but `find`, throw `STREAM_NOT_FOUND`. */
interface StreamService {
  /** Sorted by name. */
  list(): StreamStatus[]
  find(name: string): StreamStatus | undefined
  readers(name: string): ReaderStatus[]
  /** Throws `STREAM_EXISTS`, `STREAM_LIMIT`. */
  create(name: string, spec: PartialStreamSpec): Promise<StreamStatus>
  change(name: string, spec: PartialStreamSpec): Promise<StreamStatus>
  /** Throws `STREAM_IN_FILE`. */
  remove(name: string): Promise<void>
  start(name: string): Promise<StreamStatus>
  stop(name: string): Promise<StreamStatus>
  restart(name: string): Promise<StreamStatus>
  recording(name: string, action: RecordingAction): Promise<StreamStatus>
}

export type StreamRouteDeps = { readonly streams: StreamService; readonly endpoints: WatchEndpoints }

const tags = ['streams']
const params = streamParamsSchema
const one = { 200: streamViewSchema, ...failures }

const schemas = {
  list: {
    tags,
    summary: 'Lists streams by name.',
    querystring: streamListQuerySchema,
    response: { 200: streamListSchema, ...failures },
  },
  create: { tags, summary: 'Creates a stream.', body: streamCreateSchema, response: { 201: streamViewSchema, ...failures } },
  find: { tags, summary: 'One stream.', params, response: one },
  change: {
    tags,
    summary: 'Changes some settings of a stream.',
    description: 'What is absent stays as it is. On a stream of the configuration file the change is kept as an override.',
    params,
    body: partialStreamSpecSchema,
    response: one,
  },
  remove: {
    tags,
    summary: 'Removes a stream.',
    description: 'Its recordings stay. On a stream of the configuration file this removes what was overridden by API.',
    params,
    response: { 204: noContentSchema, ...failures },
  },
  readers: {
    tags,
    summary: 'Who reads a stream, and how well they keep up.',
    params,
    querystring: pageQuerySchema,
    response: { 200: readerListSchema, ...failures },
  },
}

const actionNames = ['start', 'stop', 'restart'] as const
const actionSummaries = {
  start: 'Starts a stopped stream.',
  stop: 'Stops a stream: its connections end and none are accepted until it is started.',
  restart: 'Ends all connections of a stream and begins again.',
} as const satisfies Record<(typeof actionNames)[number], string>
const recordingSummaries = {
  start: 'Records from now on, whatever the policy says.',
  stop: 'Stops recording, whatever the policy says.',
  pause: 'Leaves out what comes, until it is resumed.',
  resume: 'Goes on recording after a pause.',
} as const satisfies Record<RecordingAction, string>

export function streamRoutes(app: App, { streams, endpoints }: StreamRouteDeps): void {
  const view = (status: StreamStatus, request: FastifyRequest): StreamView => streamView(status, request, endpoints)

  app.get('/streams', { schema: schemas.list }, async (request) => {
    const { search = '', ...page } = request.query
    const found = streams.list().filter(({ name }) => name.toLowerCase().includes(search.toLowerCase()))
    const { items, ...rest } = pageOf(found, page, ({ name }) => name)
    return { ...rest, items: items.map((status) => view(status, request)) }
  })

  app.post('/streams', { schema: schemas.create }, async (request, reply) => {
    const { name, ...spec } = request.body
    const status = await streams.create(name, spec)
    void reply.code(201).header('location', `/api/v1/streams/${encodeURIComponent(name)}`)
    return view(status, request)
  })

  app.get('/streams/:name', { schema: schemas.find }, async (request) =>
    view(requireStream(streams, request.params.name), request),
  )

  app.patch('/streams/:name', { schema: schemas.change }, async (request) => {
    const { name } = request.params
    const change = withKnownCredentials(request.body, requireStream(streams, name).spec.sources)
    return view(await streams.change(name, change), request)
  })

  app.delete('/streams/:name', { schema: schemas.remove }, async (request, reply) => {
    await streams.remove(request.params.name)
    return reply.code(204).send(null)
  })

  app.get('/streams/:name/readers', { schema: schemas.readers }, async (request) => {
    const readers = streams.readers(request.params.name).toSorted((a, b) => (a.id < b.id ? -1 : 1))
    return pageOf(readers, request.query, ({ id }) => id)
  })

  for (const action of actionNames) {
    const schema = { tags, summary: actionSummaries[action], params, response: one }
    app.post(`/streams/:name/${action}`, { schema }, async (request) => view(await streams[action](request.params.name), request))
  }
  for (const action of recordingActions) {
    const schema = { tags: ['recordings'], summary: recordingSummaries[action], params, response: one }
    app.post(`/streams/:name/recording/${action}`, { schema }, async (request) =>
      view(await streams.recording(request.params.name, action), request),
    )
  }
}

function requireStream(streams: Pick<StreamService, 'find'>, name: string): StreamStatus {
  const status = streams.find(name)
  if (!status) throw new AppError('STREAM_NOT_FOUND', `no stream is called "${name}"; GET /api/v1/streams lists them`)
  return status
}
