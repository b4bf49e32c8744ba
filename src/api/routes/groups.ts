import { AppError } from '#lib/errors.ts'
import type { App } from '../app.ts'
import { committedPlaces } from '../committed-places.ts'
import { planReset } from '../group-reset.ts'
import { groupSummary, groupView } from '../group-view.ts'
import {
  commitOffsetsSchema,
  deleteOffsetsQuerySchema,
  groupListSchema,
  groupParamsSchema,
  groupResetAnswerSchema,
  groupResetSchema,
  groupViewSchema,
  searchQuerySchema,
} from '../log-contract.ts'
import type { LogGroup, LogHub, PartitionFault } from '../log-hub.ts'
import { pageOf } from '../paging.ts'
import { failures, noContentSchema } from './answers.ts'

export type GroupRouteDeps = { readonly eventLog: LogHub }

const tags = ['groups']
const params = groupParamsSchema
const schemas = {
  list: {
    tags,
    summary: 'Lists consumer groups by name.',
    querystring: searchQuerySchema,
    response: { 200: groupListSchema, ...failures },
  },
  find: {
    tags,
    summary: 'One group: members, committed offsets, and what is left to read.',
    params,
    response: { 200: groupViewSchema, ...failures },
  },
  remove: {
    tags,
    summary: 'Forgets a group with its offsets.',
    description: 'GROUP_NOT_EMPTY while it has members.',
    params,
    response: { 204: noContentSchema, ...failures },
  },
  commit: {
    tags,
    summary: 'Commits offsets for a group without members.',
    description: 'For consumers that read with `GET /topics/:name/records?group=…`. Makes the group when it is not there.',
    params,
    body: commitOffsetsSchema,
    response: { 204: noContentSchema, ...failures },
  },
  deleteOffsets: {
    tags,
    summary: 'Forgets committed offsets of a group.',
    params,
    querystring: deleteOffsetsQuerySchema,
    response: { 204: noContentSchema, ...failures },
  },
  reset: {
    tags,
    summary: 'Sets the committed offsets of a group to another place.',
    description: 'GROUP_NOT_EMPTY while it has members. Offsets stay between the start and the end of their partition.',
    params,
    body: groupResetSchema,
    response: { 200: groupResetAnswerSchema, ...failures },
  },
}

export function groupRoutes(app: App, { eventLog }: GroupRouteDeps): void {
  const { groups, topics } = eventLog

  app.get('/groups', { schema: schemas.list }, async (request) => {
    const { search = '', ...page } = request.query
    const found = groups.list().filter(({ groupId }) => groupId.toLowerCase().includes(search.toLowerCase()))
    const { items, ...rest } = pageOf(found, page, ({ groupId }) => groupId)
    return { ...rest, items: items.map(groupSummary) }
  })

  app.get('/groups/:group', { schema: schemas.find }, async (request) => {
    const group = requireGroup(eventLog, request.params.group)
    return groupView(group, await committedPlaces(eventLog, group.groupId), topics)
  })

  app.delete('/groups/:group', { schema: schemas.remove }, async (request, reply) => {
    await groups.delete(request.params.group)
    return reply.code(204).send(null)
  })

  app.post('/groups/:group/offsets', { schema: schemas.commit }, async (request, reply) => {
    const topic = topics.get(request.body.topic)
    for (const { partition } of request.body.offsets) topic.partition(partition)
    await commit(eventLog, request.params.group, { topic: topic.name, offsets: request.body.offsets })
    return reply.code(204).send(null)
  })

  app.delete('/groups/:group/offsets', { schema: schemas.deleteOffsets }, async (request, reply) => {
    const { topic: name, partition } = request.query
    const group = requireGroup(eventLog, request.params.group)
    const topic = topics.get(name)
    const partitions = partition === undefined ? topic.partitions : [topic.partition(partition)]
    const wanted = partitions.map(({ index }) => ({ topic: name, partition: index }))
    throwFirst(await groups.deleteOffsets(group.groupId, wanted))
    return reply.code(204).send(null)
  })

  app.post('/groups/:group/reset', { schema: schemas.reset }, async (request) => {
    const { group } = request.params
    const isDone = request.body.dryRun !== true
    if (isDone) refuseMembers(eventLog, group)
    const offsets = await planReset(eventLog, group, request.body)
    if (isDone) {
      const targets = offsets.map(({ partition, after }) => ({ partition, offset: after }))
      await commit(eventLog, group, { topic: request.body.topic, offsets: targets })
    }
    return { isDone, offsets }
  })
}

type NewOffsets = {
  readonly topic: string
  readonly offsets: readonly { readonly partition: number; readonly offset: number; readonly metadata?: string }[]
}

async function commit(log: LogHub, groupId: string, { topic, offsets }: NewOffsets): Promise<void> {
  refuseMembers(log, groupId)
  const rows = offsets.map(({ metadata = '', ...place }) => ({ topic, ...place, leaderEpoch: -1, metadata }))
  throwFirst(await log.groups.commitOffsets({ groupId, memberId: '', instanceId: null, generation: -1, offsets: rows }))
}

/** Members commit by themselves, and would not know of another offset. */
function refuseMembers({ groups }: LogHub, groupId: string): void {
  const count = groups.describe(groupId)?.members.length ?? 0
  if (count > 0) throw new AppError('GROUP_NOT_EMPTY', `group "${groupId}" has ${count} members; stop its consumers first`)
}

function throwFirst(answers: readonly PartitionFault[]): void {
  const failed = answers.find(({ error }) => error)
  if (failed?.error) throw failed.error
}

function requireGroup({ groups }: LogHub, groupId: string): LogGroup {
  const group = groups.describe(groupId)
  if (!group) throw new AppError('GROUP_NOT_FOUND', `there is no group "${groupId}"; GET /api/v1/groups lists them`)
  return group
}
