import type { IncomingMessage } from 'node:http'
import { Type } from 'typebox'
import { ackLevels, type AckLevel } from '#eventlog/topic-config.ts'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { App } from '../app.ts'
import {
  producedSchema,
  type Produced,
  produceQuerySchema,
  type ProduceQuery,
  produceSchema,
  topicParamsSchema,
} from '../log-contract.ts'
import type { LogHub, LogTopic } from '../log-hub.ts'
import { invalidPlace } from '../record-place.ts'
import { StickyChoice } from '#eventlog/sticky-choice.ts'
import { RecordAppender } from '../records-append.ts'
import { isTable, parseJsonBytes, RecordReader } from '../records-input.ts'
import { announcedBytes, BodyBudget, readBody, readLines } from '../request-body.ts'
import { validatorCompiler } from '../validation.ts'
import { failures } from './answers.ts'

export type ProduceRouteDeps = { readonly eventLog: LogHub; readonly clock: Clock }

const mebibyte = 1_048_576
const maxJsonBytes = 16 * mebibyte
/** The largest batch that a topic can be set to take, and some. */
const maxBatchesBytes = 101 * mebibyte
const maxLineBytes = 4 * mebibyte
/** What one NDJSON request has in memory: a line, records that are gathered, and some on their way. */
const linesBytes = 8 * mebibyte
/** All requests together. */
const maxBodiesBytes = 512 * mebibyte

export const batchMediaType = 'application/vnd.kafka.recordbatch'
export const linesMediaType = 'application/x-ndjson'

const binary = Type.Unsafe<unknown>({ type: 'string', format: 'binary' })
const schema = {
  tags: ['topics'],
  summary: 'Appends records: as JSON, as NDJSON of any length, or as record batches of Kafka.',
  description: [
    'Records with a key go to the partition that Kafka clients in Java would choose; others stay together in one partition a request.',
    'NDJSON (`application/x-ndjson`) is one record a line, and kept while it comes; the answer comes at its end.',
    'Record batches (`application/vnd.kafka.recordbatch`, version 2, one after the other) are kept as they are and need `partition`.',
    'When something fails after records were kept, the error has their offsets in `details.offsets`.',
  ].join(' '),
  params: topicParamsSchema,
  querystring: produceQuerySchema,
  body: {
    content: {
      'application/json': { schema: produceSchema },
      [linesMediaType]: { schema: Type.String({ description: 'A record of the JSON form on each line.' }) },
      [batchMediaType]: { schema: binary },
    },
  },
  response: { 200: producedSchema, ...failures },
}

type Request = { readonly body: IncomingMessage; readonly topic: string; readonly query: ProduceQuery }

/** POST /topics/:name/records. */
export function produceRoutes(app: App, { eventLog, clock }: ProduceRouteDeps): void {
  const produce = new Produce({ eventLog, clock })
  const handlers: Readonly<Record<string, (request: Request) => Promise<Produced>>> = {
    'application/json': (request) => produce.json(request),
    [linesMediaType]: (request) => produce.lines(request),
    [batchMediaType]: (request) => produce.batches(request),
    'application/octet-stream': (request) => produce.batches(request),
  }
  void app.register(async (scope: App) => {
    // Bodies are read here, with limits of their own.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    scope.post(
      '/topics/:name/records',
      {
        schema,
        config: { isStreaming: true, isUnlimited: true },
        // Records are checked one by one as they are taken over.
        validatorCompiler: (route) => (route.httpPart === 'body' ? (value: unknown) => ({ value }) : validatorCompiler(route)),
      },
      async (request, reply) => {
        const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
        const handle = handlers[type]
        const { raw: body } = request
        try {
          if (!handle || request.body !== body) throw unknownType(type)
          refuseEncoding(body)
          return await handle({ body, topic: request.params.name, query: request.query })
        } catch (error) {
          // What still comes is not waited for, unless it is little.
          if (!request.raw.complete && (announcedBytes(request.raw) ?? Infinity) > maxJsonBytes)
            void reply.header('connection', 'close')
          throw error
        }
      },
    )
  })
}

function unknownType(type: string): AppError {
  const known = `application/json, ${linesMediaType} or ${batchMediaType}`
  return new AppError(
    'UNSUPPORTED',
    `records cannot be sent as ${type === '' ? 'a body without content-type' : type}; use ${known}`,
  )
}

/** Record batches have their own compression. */
function refuseEncoding({ headers: { 'content-encoding': encoding = 'identity' } }: IncomingMessage): void {
  if (encoding.toLowerCase() === 'identity') return
  throw new AppError('UNSUPPORTED', `bodies with content-encoding ${encoding} are not read; send them as they are`)
}

/** How records are taken over, by the form in which they come. */
class Produce {
  readonly #log: LogHub
  readonly #clock: Clock
  readonly #budget = new BodyBudget({ maxBytes: maxBodiesBytes })
  readonly #sticky = new StickyChoice()

  constructor({ eventLog, clock }: ProduceRouteDeps) {
    this.#log = eventLog
    this.#clock = clock
  }

  /** All or nothing as far as the request is at fault: every record is checked before the first is appended. */
  async json({ body, topic: name, query }: Request): Promise<Produced> {
    using _ = this.#budget.reserve(announcedBytes(body) ?? maxJsonBytes)
    const remedy = 'send fewer records, or application/x-ndjson, which has no limit'
    const bytes = await readBody(body, { maxBytes: maxJsonBytes, remedy })
    const topic = this.#log.topics.get(name)
    const { inputs, ack } = readEnvelope(parseJsonBytes(bytes, 'body'))
    const reader = new RecordReader({ prefix: 'body.records', nowMs: this.#clock.nowMs() })
    const records = inputs.map((input, index) => reader.read(input, index))
    if (reader.fault) throw reader.fault
    const appender = this.#appender(topic, { ...query, ...(ack === undefined ? {} : { ack }) })
    for (const record of records) appender.check(record)
    for (const record of records) appender.add(record)
    return await finish(appender)
  }

  async lines({ body, topic: name, query }: Request): Promise<Produced> {
    using _ = this.#budget.reserve(linesBytes)
    const appender = this.#appender(this.#log.topics.get(name), query)
    let count = 0
    try {
      for await (const lines of readLines(body, { maxLineBytes })) {
        const reader = new RecordReader({ prefix: 'body.lines', nowMs: this.#clock.nowMs() })
        for (const line of lines) {
          const record = reader.read(parseJsonBytes(line.bytes, `line ${line.number}`), line.number)
          if (reader.fault) throw reader.fault
          appender.check(record)
          appender.add(record)
          await appender.room()
          count += 1
        }
        // What comes slowly is not kept waiting; what comes fast meanwhile becomes a larger batch.
        if (appender.isIdle) appender.flush()
      }
    } catch (error) {
      throw await appender.abandon(error)
    }
    if (count === 0) throw invalidPlace('body', 'has no records')
    return await finish(appender)
  }

  async batches({ body, topic: name, query }: Request): Promise<Produced> {
    const { partition } = query
    if (partition === undefined) throw invalidPlace('query.partition', 'is required for record batches')
    using _ = this.#budget.reserve(announcedBytes(body) ?? maxBatchesBytes)
    const bytes = await readBody(body, { maxBytes: maxBatchesBytes, remedy: 'send fewer record batches at once' })
    const appender = this.#appender(this.#log.topics.get(name), query)
    for (const batch of wholeBatches(bytes)) appender.addBatch(partition, batch)
    return await finish(appender)
  }

  #appender(topic: LogTopic, { partition, ack }: ProduceQuery): RecordAppender {
    return new RecordAppender({ log: this.#log, topic, sticky: this.#sticky, partition, ack })
  }
}

async function finish(appender: RecordAppender): Promise<Produced> {
  try {
    return await appender.finish()
  } catch (error) {
    throw await appender.abandon(error)
  }
}

function readEnvelope(body: unknown): { inputs: readonly unknown[]; ack: AckLevel | undefined } {
  if (!isTable(body)) throw invalidPlace('body', 'must be an object { records: […] }')
  const { records, ack, ...unknown } = body
  const [stranger] = Object.keys(unknown)
  if (stranger !== undefined) throw invalidPlace(`body.${stranger}`, 'is not a known field')
  if (!Array.isArray(records) || records.length === 0)
    throw invalidPlace('body.records', 'must be an array of one record or more')
  const level = ackLevels.find((one) => one === ack)
  if (ack !== undefined && level === undefined) throw invalidPlace('body.ack', `must be one of ${ackLevels.join(', ')}`)
  return { inputs: records, ack: level }
}

/** Record batches that follow each other. Throws `RECORD_BATCH_INVALID`, and `TRUNCATED` when the last one is not whole. */
function wholeBatches(bytes: Buffer): Buffer[] {
  if (bytes.length === 0) throw invalidPlace('body', 'has no record batch')
  const batches: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const { sizeBytes } = readBatchHeader(bytes, at)
    if (at + sizeBytes > bytes.length) {
      throw new AppError('TRUNCATED', `record batch of ${sizeBytes} bytes at byte ${at} of the body, which has ${bytes.length}`)
    }
    batches.push(bytes.subarray(at, at + sizeBytes))
    at += sizeBytes
  }
  return batches
}
