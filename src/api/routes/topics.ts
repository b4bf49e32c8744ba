import type { App } from '../app.ts'
import { pageQuerySchema } from '../contract.ts'
import {
  deletedRecordsSchema,
  deleteRecordsSchema,
  offsetListSchema,
  offsetsQuerySchema,
  partitionListSchema,
  partitionParamsSchema,
  searchQuerySchema,
  topicChangeSchema,
  topicCreateSchema,
  topicListSchema,
  topicParamsSchema,
  topicViewSchema,
} from '../log-contract.ts'
import type { LogHub, LogTopic } from '../log-hub.ts'
import { pageOf } from '../paging.ts'
import { offsetAt, parsePlace } from '../record-place.ts'
import { partitionView, topicSummary, topicView } from '../topic-view.ts'
import { failures, noContentSchema } from './answers.ts'

export type TopicRouteDeps = { readonly eventLog: LogHub }

const tags = ['topics']
const params = topicParamsSchema
const one = { 200: topicViewSchema, ...failures }

const schemas = {
  list: {
    tags,
    summary: 'Lists topics by name.',
    querystring: searchQuerySchema,
    response: { 200: topicListSchema, ...failures },
  },
  create: { tags, summary: 'Creates a topic.', body: topicCreateSchema, response: { 201: topicViewSchema, ...failures } },
  find: { tags, summary: 'One topic with its partitions.', params, response: one },
  change: {
    tags,
    summary: 'Changes settings of a topic, or adds partitions.',
    description: 'What is absent stays as it is. Records with the same key may go to another partition when there are more.',
    params,
    body: topicChangeSchema,
    response: one,
  },
  remove: { tags, summary: 'Deletes a topic with all its records.', params, response: { 204: noContentSchema, ...failures } },
  partitions: {
    tags,
    summary: 'The partitions of a topic.',
    params,
    querystring: pageQuerySchema,
    response: { 200: partitionListSchema, ...failures },
  },
  offsets: {
    tags,
    summary: 'Where partitions begin, end, or are at a time.',
    params,
    querystring: offsetsQuerySchema,
    response: { 200: offsetListSchema, ...failures },
  },
  deleteRecords: {
    tags,
    summary: 'Deletes the oldest records of a partition.',
    params: partitionParamsSchema,
    body: deleteRecordsSchema,
    response: { 200: deletedRecordsSchema, ...failures },
  },
}

export function topicRoutes(app: App, { eventLog }: TopicRouteDeps): void {
  const { topics } = eventLog

  app.get('/topics', { schema: schemas.list }, async (request) => {
    const { search = '', ...page } = request.query
    const found = topics.list().filter(({ name }) => name.toLowerCase().includes(search.toLowerCase()))
    const { items, ...rest } = pageOf(found, page, ({ name }) => name)
    return { ...rest, items: items.map(topicSummary) }
  })

  app.post('/topics', { schema: schemas.create }, async (request, reply) => {
    const { name, partitions, config } = request.body
    const topic = await topics.create({
      name,
      ...(partitions === undefined ? {} : { partitionCount: partitions }),
      ...(config ? { config } : {}),
    })
    void reply.code(201).header('location', `/api/v1/topics/${name}`)
    return topicView(topic)
  })

  app.get('/topics/:name', { schema: schemas.find }, async (request) => topicView(topics.get(request.params.name)))

  app.patch('/topics/:name', { schema: schemas.change }, async (request) => {
    const { name } = request.params
    const { config, partitions } = request.body
    // Repeating a change is no fault.
    if (partitions !== undefined && partitions !== topics.get(name).partitions.length)
      await topics.addPartitions(name, partitions)
    if (config) await topics.configure(name, config)
    return topicView(topics.get(name))
  })

  app.delete('/topics/:name', { schema: schemas.remove }, async (request, reply) => {
    await topics.delete(request.params.name)
    return reply.code(204).send(null)
  })

  partitionRoutes(app, eventLog)
}

function partitionRoutes(app: App, eventLog: LogHub): void {
  const { topics } = eventLog

  app.get('/topics/:name/partitions', { schema: schemas.partitions }, async (request) => {
    const { partitions } = topics.get(request.params.name)
    const { items, ...rest } = pageOf(partitions, request.query, ({ index }) => String(index).padStart(7, '0'))
    return { ...rest, items: items.map(partitionView) }
  })

  app.get('/topics/:name/offsets', { schema: schemas.offsets }, async (request) => {
    const { at = 'latest', partition } = request.query
    const place = parsePlace(at, 'query.at')
    const topic = topics.get(request.params.name)
    const items = []
    for (const index of partitionsOf(topic, partition)) {
      const { offset, timestampMs } = await offsetAt(eventLog, topic, { partition: index, place })
      items.push({
        partition: index,
        offset,
        ...(timestampMs === undefined ? {} : { timestamp: new Date(timestampMs).toISOString() }),
      })
    }
    return { items }
  })

  app.post('/topics/:name/partitions/:partition/delete-records', { schema: schemas.deleteRecords }, async (request) => {
    const { name: topic, partition } = request.params
    return { logStartOffset: await eventLog.deleteRecords({ topic, partition }, request.body.beforeOffset) }
  })
}

/** The one that is asked for, or all. */
function partitionsOf(topic: LogTopic, partition: number | undefined): number[] {
  return partition === undefined ? topic.partitions.map(({ index }) => index) : [topic.partition(partition).index]
}
