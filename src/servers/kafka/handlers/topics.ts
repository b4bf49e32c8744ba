import type { RequestOf, ResponseInputOf } from '#formats/kafka/apis.ts'
import { zeroUuid } from '#formats/kafka/codec.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { clusterName } from '../authorizer.ts'
import type { Call, Fault } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import type { NewTopic, Topic } from '../log-hub.ts'
import { parseTopicConfig, showTopicConfig } from '../topic-configs.ts'
import { configSourceOf } from './config-entry.ts'

/** "As the broker thinks right", from clients that do not say a number. */
const byDefault = -1
const done = { errorCode: kafkaErrors.NONE, errorMessage: null }

type AskedTopic = RequestOf<'createTopics'>['topics'][number]
type CreatedTopic = ResponseInputOf<'createTopics'>['topics'][number]

/** Makes topics, or says whether it could. */
export const createTopics: Handler<'createTopics'> = async ({ topics, validateOnly }, call) => {
  const doubled = doubledOf(topics.map(({ name }) => name))
  const created: CreatedTopic[] = []
  for (const topic of topics) {
    if (doubled.has(topic.name))
      created.push({ name: topic.name, ...call.refusal('INVALID_REQUEST', 'the topic is in the request twice') })
    else created.push(await createTopic(call, topic, { validateOnly }))
  }
  return { topics: created }
}

async function createTopic(call: Call, asked: AskedTopic, { validateOnly }: { validateOnly: boolean }): Promise<CreatedTopic> {
  const { name } = asked
  if (!call.isAllowed('create', 'cluster', clusterName) && !call.isAllowed('create', 'topic', name)) {
    return { name, ...call.refusal('TOPIC_AUTHORIZATION_FAILED', `you may not create topic "${name}"`) }
  }
  const refusal = refusalOf(call, asked)
  if (refusal) return { name, ...refusal }
  const { topics } = call.context.hub
  const partitions = asked.numPartitions === byDefault ? {} : { partitionCount: asked.numPartitions }
  const config = parsedConfig(call, asked)
  if ('errorCode' in config) return { name, ...config }
  const topic: NewTopic = { name, ...partitions, config: config.changes }
  try {
    if (!validateOnly) return describeCreated(await topics.create(topic))
    topics.checkNew(topic)
    return { name, ...done, ...partitions, replicationFactor: 1 }
  } catch (thrown) {
    return { name, ...call.fault(thrown) }
  }
}

/** What Kafka lets a client choose and Millrace does not. */
function refusalOf(call: Call, { numPartitions, replicationFactor, assignments }: AskedTopic): Fault | undefined {
  if (assignments.length > 0) {
    return call.refusal('INVALID_REPLICA_ASSIGNMENT', 'partitions cannot be assigned to brokers; say how many there should be')
  }
  if (numPartitions !== byDefault && numPartitions < 1) {
    return call.refusal(
      'INVALID_PARTITIONS',
      `${numPartitions} partitions are not possible; use 1 or more, or -1 for the default`,
    )
  }
  if (replicationFactor === byDefault || replicationFactor === 1) return undefined
  const message = `a replication factor of ${replicationFactor} is not possible: what a record survives is millrace.durability; use 1 or -1`
  return call.refusal('INVALID_REPLICATION_FACTOR', message)
}

function parsedConfig(call: Call, { configs }: AskedTopic): Fault | { readonly changes: ReturnType<typeof parseTopicConfig> } {
  try {
    return { changes: parseTopicConfig(configs) }
  } catch (thrown) {
    return call.fault(thrown, { TOPIC_INVALID: 'INVALID_CONFIG' })
  }
}

function describeCreated({ id, name, partitions, config }: Topic): CreatedTopic {
  return {
    name,
    topicId: id,
    ...done,
    numPartitions: partitions.length,
    replicationFactor: 1,
    configs: showTopicConfig(config).map((one) => ({
      name: one.name,
      value: one.value,
      readOnly: false,
      configSource: configSourceOf(one),
      isSensitive: false,
    })),
  }
}

type DeletedTopic = ResponseInputOf<'deleteTopics'>['responses'][number]
const byIdSince = 6

/** Removes topics with all their records, by name or by id. */
export const deleteTopics: Handler<'deleteTopics'> = async (request, call) => {
  const asked = call.version >= byIdSince ? request.topics : request.topicNames.map((name) => ({ name, topicId: zeroUuid }))
  const responses: DeletedTopic[] = []
  for (const { name, topicId } of asked)
    responses.push(name === null ? await deleteWithId(call, topicId) : await deleteNamed(call, name))
  return { responses }
}

async function deleteNamed(call: Call, name: string): Promise<DeletedTopic> {
  if (!call.isAllowed('delete', 'topic', name)) {
    return { name, ...call.refusal('TOPIC_AUTHORIZATION_FAILED', `you may not delete topic "${name}"`) }
  }
  try {
    const { topics } = call.context.hub
    const topicId = topics.find(name)?.id ?? zeroUuid
    await topics.delete(name)
    return { name, topicId, ...done }
  } catch (thrown) {
    return { name, ...call.fault(thrown) }
  }
}

/** Whoever may not see a topic learns no more of it than of one that is not there. */
async function deleteWithId(call: Call, topicId: string): Promise<DeletedTopic> {
  const topic = call.context.hub.topics.findById(topicId)
  if (topic && call.isAllowed('describe', 'topic', topic.name)) return { ...(await deleteNamed(call, topic.name)), topicId }
  return { name: null, topicId, ...call.refusal('UNKNOWN_TOPIC_ID', 'there is no topic with this id') }
}

type AskedPartitions = RequestOf<'createPartitions'>['topics'][number]

/** Adds partitions; their number only grows. */
export const createPartitions: Handler<'createPartitions'> = async ({ topics, validateOnly }, call) => {
  const results: ResponseInputOf<'createPartitions'>['results'][number][] = []
  for (const topic of topics) results.push({ name: topic.name, ...(await addPartitions(call, topic, { validateOnly })) })
  return { throttleTimeMs: 0, results }
}

async function addPartitions(
  call: Call,
  { name, count, assignments }: AskedPartitions,
  { validateOnly }: { validateOnly: boolean },
): Promise<Fault | typeof done> {
  if (!call.isAllowed('alter', 'topic', name))
    return call.refusal('TOPIC_AUTHORIZATION_FAILED', `you may not change topic "${name}"`)
  if (assignments !== null && assignments.length > 0) {
    return call.refusal('INVALID_REPLICA_ASSIGNMENT', 'partitions cannot be assigned to brokers; leave the assignment out')
  }
  const { topics } = call.context.hub
  try {
    if (!validateOnly) await topics.addPartitions(name, count)
    else checkGrowth(topics.find(name), { name, count })
    return done
  } catch (thrown) {
    const { code } = toAppError(thrown)
    return code === 'TOPIC_INVALID' ? call.fault(thrown, { TOPIC_INVALID: 'INVALID_PARTITIONS' }) : call.fault(thrown)
  }
}

function checkGrowth(topic: Topic | undefined, { name, count }: { name: string; count: number }): void {
  if (!topic) throw new AppError('TOPIC_NOT_FOUND', `there is no topic "${name}"; create it first`)
  const existing = topic.partitions.length
  if (count > existing) return
  throw new AppError('TOPIC_INVALID', `topic "${name}" has ${existing} partitions; ask for more than that, not for ${count}`)
}

function doubledOf(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  return new Set(names.filter((name) => seen.size === seen.add(name).size))
}
