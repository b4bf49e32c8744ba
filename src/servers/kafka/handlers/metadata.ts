import type { RequestOf, ResponseInputOf } from '#formats/kafka/apis.ts'
import { noAuthorizedOperations } from '#formats/kafka/messages/metadata.ts'
import { zeroUuid } from '#formats/kafka/codec.ts'
import { clusterName } from '../authorizer.ts'
import type { Call } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import type { Topic } from '../log-hub.ts'

type TopicResponse = ResponseInputOf<'metadata'>['topics'][number]
type AskedTopic = NonNullable<RequestOf<'metadata'>['topics']>[number]

/** Which topics there are and who serves their partitions: this node. A topic that is asked for by name may be made. */
export const metadata: Handler<'metadata'> = async (request, call) => {
  const { hub, clusterId } = call.context
  const { nodeId } = hub
  return {
    brokers: [{ nodeId, ...call.client.endpoint }],
    clusterId,
    controllerId: nodeId,
    topics: isForAll(request, call) ? allTopics(call) : await askedTopics(request, call),
  }
}

function isForAll({ topics }: RequestOf<'metadata'>, { version }: Call): boolean {
  return topics === null || (version === 0 && topics.length === 0)
}

function allTopics(call: Call): TopicResponse[] {
  const visible = call.context.hub.topics.list().filter(({ name }) => call.isAllowed('describe', 'topic', name))
  return visible.map((topic) => describeTopic(call, topic))
}

async function askedTopics({ topics, allowAutoTopicCreation }: RequestOf<'metadata'>, call: Call): Promise<TopicResponse[]> {
  const answers: TopicResponse[] = []
  for (const asked of topics ?? []) {
    answers.push(
      asked.name === null ? topicWithId(call, asked.topicId) : await topicNamed(call, asked, { isMade: allowAutoTopicCreation }),
    )
  }
  return answers
}

/** Whoever may not see a topic learns no more of it than of one that is not there. */
function topicWithId(call: Call, topicId: string): TopicResponse {
  const topic = call.context.hub.topics.findById(topicId)
  if (topic && call.isAllowed('describe', 'topic', topic.name)) return describeTopic(call, topic)
  return { errorCode: call.refuse('UNKNOWN_TOPIC_ID'), name: null, topicId, partitions: [] }
}

async function topicNamed(call: Call, { name }: AskedTopic, { isMade }: { isMade: boolean }): Promise<TopicResponse> {
  const { hub, isAutoCreating } = call.context
  const asked = name ?? ''
  const refused = (errorCode: number): TopicResponse => ({ errorCode, name: asked, topicId: zeroUuid, partitions: [] })
  if (!call.isAllowed('describe', 'topic', asked)) return refused(call.refuse('TOPIC_AUTHORIZATION_FAILED'))
  const topic = hub.topics.find(asked)
  if (topic) return describeTopic(call, topic)
  if (!isMade || !isAutoCreating) return refused(call.refuse('UNKNOWN_TOPIC_OR_PARTITION'))
  if (!call.isAllowed('create', 'cluster', clusterName) && !call.isAllowed('create', 'topic', asked)) {
    return refused(call.refuse('TOPIC_AUTHORIZATION_FAILED'))
  }
  try {
    return describeTopic(call, await makeTopic(call, asked))
  } catch (thrown) {
    return refused(call.fault(thrown).errorCode)
  }
}

async function makeTopic({ context, client, clientId }: Call, name: string): Promise<Topic> {
  const topic = await context.hub.topics.ensure({ name })
  const { host, user } = client.principal
  context.log.info({ topic: name, clientId, remoteHost: host, user }, 'topic made because a kafka client asked for it')
  return topic
}

function describeTopic({ context: { hub } }: Call, { id, name, isInternal, partitions }: Topic): TopicResponse {
  const { nodeId } = hub
  return {
    errorCode: kafkaErrors.NONE,
    name,
    topicId: id,
    isInternal,
    // Also of a partition that takes no more records: what it has can be read here.
    partitions: partitions.map(({ index }) => ({
      errorCode: kafkaErrors.NONE,
      partitionIndex: index,
      leaderId: nodeId,
      leaderEpoch: 0,
      replicaNodes: [nodeId],
      isrNodes: [nodeId],
    })),
    topicAuthorizedOperations: noAuthorizedOperations,
  }
}
