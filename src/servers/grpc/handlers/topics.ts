import type { Durability, TopicConfig } from '#eventlog/topic-config.ts'
import type * as schemas from '#formats/protobuf/schemas/log-v1.ts'
import type { InputOf, ValueOf } from '#formats/protobuf/types.ts'
import type { LogTopic } from '../log-hub.ts'
import type { At } from '../route.ts'

type ConfigValue = ValueOf<typeof schemas.topicConfig>
type TopicView = InputOf<typeof schemas.topic>

const durabilityNames = { wal: 'DURABILITY_WAL', object: 'DURABILITY_OBJECT' } as const satisfies Record<Durability, string>
const durabilities = { DURABILITY_UNSPECIFIED: undefined, DURABILITY_WAL: 'wal', DURABILITY_OBJECT: 'object' } as const
const timestampTypeNames = {
  CreateTime: 'TIMESTAMP_TYPE_CREATE_TIME',
  LogAppendTime: 'TIMESTAMP_TYPE_LOG_APPEND_TIME',
} as const satisfies Record<TopicConfig['timestampType'], string>
const timestampTypes = {
  TIMESTAMP_TYPE_UNSPECIFIED: undefined,
  TIMESTAMP_TYPE_CREATE_TIME: 'CreateTime',
  TIMESTAMP_TYPE_LOG_APPEND_TIME: 'LogAppendTime',
} as const

export async function listTopics(_: unknown, { context }: At): Promise<InputOf<typeof schemas.listTopicsResponse>> {
  return { topics: context.hub.topics.list().map(viewOf) }
}

export async function describeTopic(
  { name }: ValueOf<typeof schemas.describeTopicRequest>,
  { context }: At,
): Promise<InputOf<typeof schemas.describeTopicResponse>> {
  return { topic: wholeViewOf(context.hub.topics.get(name)) }
}

export async function createTopic(
  { name, partitionCount, config }: ValueOf<typeof schemas.createTopicRequest>,
  { context }: At,
): Promise<InputOf<typeof schemas.createTopicResponse>> {
  const topic = await context.hub.topics.create({
    name,
    ...(partitionCount === 0 ? {} : { partitionCount }),
    ...(config ? { config: configOf(config) } : {}),
  })
  return { topic: wholeViewOf(topic) }
}

export async function deleteTopic(
  { name }: ValueOf<typeof schemas.deleteTopicRequest>,
  { context }: At,
): Promise<InputOf<typeof schemas.deleteTopicResponse>> {
  await context.hub.topics.delete(name)
  return {}
}

function viewOf({ name, id, createdAtMs, isInternal, config, partitions }: LogTopic): TopicView {
  return {
    name,
    id,
    createdAtMs,
    isInternal,
    partitionCount: partitions.length,
    config: {
      ...config,
      durability: durabilityNames[config.durability],
      timestampType: timestampTypeNames[config.timestampType],
    },
  }
}

function wholeViewOf(topic: LogTopic): TopicView {
  const partitions = topic.partitions.map(({ index, isOwned, logStart, highWatermark }) => ({
    partition: index,
    isAvailable: isOwned,
    logStartOffset: logStart,
    highWatermark,
  }))
  return { ...viewOf(topic), partitions }
}

/** Without what the client left out: that has its default. */
function configOf({
  durability,
  retentionMs,
  retentionBytes,
  maxMessageBytes,
  timestampType,
}: ConfigValue): Partial<TopicConfig> {
  const [durable, timestamps] = [durabilities[durability], timestampTypes[timestampType]]
  return {
    ...(durable === undefined ? {} : { durability: durable }),
    ...(retentionMs === undefined ? {} : { retentionMs }),
    ...(retentionBytes === undefined ? {} : { retentionBytes }),
    ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }),
    ...(timestamps === undefined ? {} : { timestampType: timestamps }),
  }
}
