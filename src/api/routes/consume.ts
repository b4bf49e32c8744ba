import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { App } from '../app.ts'
import {
  type consumeFormats,
  consumeQuerySchema,
  type ConsumeQuery,
  maxRecordsPerPage,
  recordPageSchema,
  recordViewSchema,
  topicParamsSchema,
} from '../log-contract.ts'
import type { LogHub, LogTopic } from '../log-hub.ts'
import { type ReadCursor, writeReadCursor } from '../read-cursor.ts'
import { ReaderSlots } from '../reader-slots.ts'
import { invalidPlace } from '../record-place.ts'
import { pageText } from '../records-output.ts'
import { readBatches, readPage } from '../records-read.ts'
import { startOf } from '../records-start.ts'
import { openLines } from '../records-stream.ts'
import { failures } from './answers.ts'
import { batchMediaType, linesMediaType } from './produce.ts'

export type ConsumeRouteDeps = { readonly eventLog: LogHub }

const defaultLimit = 500
const defaultMaxBytes = 1_048_576

const binary = Type.Unsafe<unknown>({ type: 'string', format: 'binary' })
const schema = {
  tags: ['topics'],
  summary: 'Reads records: a page, a stream of lines, or record batches of Kafka; waits for more if asked to.',
  description: [
    'Go on with `nextCursor` as `cursor`; what else was asked for then does not matter, except for limits and form.',
    'A place before the oldest record that is kept is refused with OFFSET_OUT_OF_RANGE; `details.nextCursor` goes on with what is kept.',
    'NDJSON (`Accept: application/x-ndjson`) has a record on each line. With `follow=true` an empty line comes every 15 s while nothing happens.',
    'A fault after the first line is told on the last one as `{ "error": { "code", "message" } }`.',
    'Record batches have no records in JSON; the headers `millrace-next-offset`, `millrace-high-watermark` and `millrace-log-start-offset` say how far they go.',
  ].join(' '),
  params: topicParamsSchema,
  querystring: consumeQuerySchema,
  response: {
    200: {
      description: 'Records in order of offset, partition by partition.',
      content: {
        'application/json': { schema: recordPageSchema },
        [linesMediaType]: { schema: recordViewSchema },
        [batchMediaType]: { schema: binary },
      },
    },
    ...failures,
  },
}

type Reading = {
  readonly topic: LogTopic
  readonly start: ReadCursor
  readonly query: ConsumeQuery
  readonly signal: AbortSignal
}
type Format = (typeof consumeFormats)[number]

/** GET /topics/:name/records. `closing` fires when the server stops: whoever waits is answered. */
export function consumeRoutes(app: App, { eventLog }: ConsumeRouteDeps, closing: AbortSignal): void {
  const slots = new ReaderSlots(closing)
  const config = { isStreaming: true, isUnlimited: true }
  app.get('/topics/:name/records', { schema, config }, async (request, reply) => {
    const { query } = request
    const topic = eventLog.topics.get(request.params.name)
    const format = query.format ?? acceptedFormat(request)
    checkLimit(query, format)
    const start = await startOf(eventLog, topic, query)
    const reading = { topic, start, query, signal: slots.take(reply) }
    if (format === 'json') return await sendPage(eventLog, reply, reading)
    if (format === 'batch') return await sendBatches(eventLog, reply, reading)
    return await sendLines(eventLog, { request, reply }, reading)
  })
}

async function sendPage(log: LogHub, reply: FastifyReply, { topic, start, query, signal }: Reading): Promise<FastifyReply> {
  const { limit = defaultLimit, maxBytes = defaultMaxBytes, waitMs = 0 } = query
  const page = await readPage(log, topic, start, { limit, maxBytes, waitMs, signal })
  const positions = page.marks.map(({ partition, nextOffset }) => ({ partition, offset: nextOffset }))
  const nextCursor = writeReadCursor(topic, { isAll: start.isAll, positions })
  return reply.type('application/json; charset=utf-8').send(pageText(page, { nextCursor, form: query.as ?? 'text' }))
}

async function sendBatches(log: LogHub, reply: FastifyReply, { topic, start, query, signal }: Reading): Promise<FastifyReply> {
  const [position, second] = start.positions
  if (!position || second) throw invalidPlace('query.partition', 'is required for record batches')
  const { maxBytes = defaultMaxBytes, waitMs = 0 } = query
  const { batches, mark } = await readBatches(log, topic, position, { maxBytes, waitMs, signal })
  return reply
    .header('millrace-next-offset', mark.nextOffset)
    .header('millrace-high-watermark', mark.highWatermark)
    .header('millrace-log-start-offset', mark.logStartOffset)
    .type(batchMediaType)
    .send(Buffer.concat(batches))
}

async function sendLines(
  log: LogHub,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  { topic, start, query, signal }: Reading,
): Promise<FastifyReply> {
  const { limit, maxBytes = defaultMaxBytes, follow, as: form = 'text' } = query
  const onFault = (error: unknown): void => request.log.error({ err: error, topic: topic.name }, 'records broken off')
  const lines = await openLines(log, topic, start, { limit, maxBytes, isFollowing: follow === 'true', form, signal, onFault })
  // Fastify reads a stream to its end for HEAD.
  const body = request.method === 'HEAD' ? [] : lines
  return reply.type(linesMediaType).send(Readable.from(body, { objectMode: false, highWaterMark: 64 * 1024 }))
}

function acceptedFormat({ headers: { accept = '' } }: FastifyRequest): Format {
  if (accept.includes(linesMediaType)) return 'ndjson'
  return accept.includes(batchMediaType) ? 'batch' : 'json'
}

function checkLimit({ limit = 1, follow }: ConsumeQuery, format: Format): void {
  if (format === 'json' && limit > maxRecordsPerPage) throw invalidPlace('query.limit', `must be <= ${maxRecordsPerPage}`)
  if (format !== 'ndjson' && follow === 'true') throw invalidPlace('query.follow', 'is for application/x-ndjson only; use waitMs')
}
