import type { ResponseInputOf } from '#formats/kafka/apis.ts'
import type { Call } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import type { CommittedOffset, PartitionFault, PartitionRef } from '../log-hub.ts'

/** As in Kafka, `offset.metadata.max.bytes`. */
const maxMetadataBytes = 4096
/** From this version of OffsetFetch on it may be about several groups. */
const severalGroupsSince = 8
const nothing = { committedOffset: -1, committedLeaderEpoch: -1, metadata: '' }

/** Keeps how far a group has read. */
export const offsetCommit: Handler<'offsetCommit'> = async (request, call) => {
  const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch } = request
  const isGroupAllowed = call.isAllowed('read', 'group', groupId)
  const refusals = new Map<string, number>()
  const offsets: (PartitionRef & CommittedOffset)[] = []
  for (const { name, partitions } of request.topics) {
    const isTopicAllowed = isGroupAllowed && call.isAllowed('read', 'topic', name)
    for (const { partitionIndex, committedOffset, committedLeaderEpoch, committedMetadata } of partitions) {
      const ref = { topic: name, partition: partitionIndex }
      const metadata = committedMetadata ?? ''
      if (!isGroupAllowed) refusals.set(keyOf(ref), call.refuse('GROUP_AUTHORIZATION_FAILED'))
      else if (!isTopicAllowed) refusals.set(keyOf(ref), call.refuse('TOPIC_AUTHORIZATION_FAILED'))
      else if (Buffer.byteLength(metadata) > maxMetadataBytes) refusals.set(keyOf(ref), call.refuse('OFFSET_METADATA_TOO_LARGE'))
      else offsets.push({ ...ref, offset: committedOffset, leaderEpoch: committedLeaderEpoch, metadata })
    }
  }
  const member = { groupId, memberId, instanceId: groupInstanceId, generation: generationIdOrMemberEpoch }
  const isNeeded = offsets.length > 0
  const codes = isNeeded
    ? await codesOf(call, offsets, () => call.context.hub.groups.commitOffsets({ ...member, offsets }))
    : new Map<string, number>()
  return {
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => {
        const key = keyOf({ topic: name, partition: partitionIndex })
        return { partitionIndex, errorCode: refusals.get(key) ?? codes.get(key) ?? kafkaErrors.UNKNOWN_SERVER_ERROR }
      }),
    })),
  }
}

/** The error code of each partition; a fault of the whole is that of each. */
async function codesOf(
  call: Call,
  asked: readonly PartitionRef[],
  run: () => Promise<readonly PartitionFault[]>,
): Promise<Map<string, number>> {
  try {
    const answers = await run()
    return new Map(answers.map((one) => [keyOf(one), one.error ? call.groupFault(one.error).errorCode : kafkaErrors.NONE]))
  } catch (thrown) {
    const { errorCode } = call.groupFault(thrown)
    return new Map(asked.map((one) => [keyOf(one), errorCode]))
  }
}

/** How far groups have read. */
export const offsetFetch: Handler<'offsetFetch'> = async (request, call) => {
  if (call.version >= severalGroupsSince) {
    return { groups: await Promise.all(request.groups.map(({ groupId, topics }) => offsetsOf(call, groupId, topics))) }
  }
  const { topics, errorCode } = await offsetsOf(call, request.groupId, request.topics)
  return { topics, errorCode }
}

type FetchedGroup = NonNullable<ResponseInputOf<'offsetFetch'>['groups']>[number]
type FetchedTopic = FetchedGroup['topics'][number]
type AskedTopics = readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[]

async function offsetsOf(call: Call, groupId: string, topics: AskedTopics | null): Promise<FetchedGroup> {
  if (!call.isAllowed('describe', 'group', groupId)) {
    const errorCode = call.refuse('GROUP_AUTHORIZATION_FAILED')
    return { groupId, errorCode, topics: (topics ?? []).map((topic) => refusedTopic(topic, errorCode)) }
  }
  try {
    const answered = topics === null ? await allOffsets(call, groupId) : await askedOffsets(call, groupId, topics)
    return { groupId, errorCode: kafkaErrors.NONE, topics: answered }
  } catch (thrown) {
    const { errorCode } = call.groupFault(thrown)
    return { groupId, errorCode, topics: (topics ?? []).map((topic) => refusedTopic(topic, errorCode)) }
  }
}

async function askedOffsets(call: Call, groupId: string, topics: AskedTopics): Promise<FetchedTopic[]> {
  const allowed = new Set(topics.map(({ name }) => name).filter((name) => call.isAllowed('describe', 'topic', name)))
  const asked = topics
    .filter(({ name }) => allowed.has(name))
    .flatMap(({ name, partitionIndexes }) => partitionIndexes.map((partition) => ({ topic: name, partition })))
  const committed = new Map((await call.context.hub.groups.committedOffsets(groupId, asked)).map((one) => [keyOf(one), one]))
  return topics.map((topic) =>
    allowed.has(topic.name)
      ? {
          name: topic.name,
          partitions: topic.partitionIndexes.map((partition) =>
            fetchedPartition(partition, committed.get(keyOf({ topic: topic.name, partition }))),
          ),
        }
      : refusedTopic(topic, call.refuse('TOPIC_AUTHORIZATION_FAILED')),
  )
}

async function allOffsets(call: Call, groupId: string): Promise<FetchedTopic[]> {
  const byTopic = new Map<string, FetchedTopic['partitions'][number][]>()
  for (const one of await call.context.hub.groups.committedOffsets(groupId)) {
    if (!call.isAllowed('describe', 'topic', one.topic)) continue
    const partitions = byTopic.get(one.topic) ?? []
    byTopic.set(one.topic, partitions)
    partitions.push(fetchedPartition(one.partition, one))
  }
  return [...byTopic].map(([name, partitions]) => ({ name, partitions }))
}

function fetchedPartition(partitionIndex: number, committed: CommittedOffset | undefined): FetchedTopic['partitions'][number] {
  if (!committed) return { partitionIndex, ...nothing, errorCode: kafkaErrors.NONE }
  const { offset, leaderEpoch, metadata } = committed
  return { partitionIndex, committedOffset: offset, committedLeaderEpoch: leaderEpoch, metadata, errorCode: kafkaErrors.NONE }
}

function refusedTopic({ name, partitionIndexes }: AskedTopics[number], errorCode: number): FetchedTopic {
  return { name, partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, ...nothing, errorCode })) }
}

/** Forgets how far a group has read in some partitions. */
export const offsetDelete: Handler<'offsetDelete'> = async ({ groupId, topics }, call) => {
  if (!call.isAllowed('delete', 'group', groupId)) {
    return { throttleTimeMs: 0, errorCode: call.refuse('GROUP_AUTHORIZATION_FAILED'), topics: [] }
  }
  const allowed = new Set(topics.map(({ name }) => name).filter((name) => call.isAllowed('read', 'topic', name)))
  const asked = topics
    .filter(({ name }) => allowed.has(name))
    .flatMap(({ name, partitions }) => partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })))
  try {
    const answers = await call.context.hub.groups.deleteOffsets(groupId, asked)
    const codes = new Map(answers.map((one) => [keyOf(one), one.error ? call.groupFault(one.error).errorCode : kafkaErrors.NONE]))
    return {
      throttleTimeMs: 0,
      errorCode: kafkaErrors.NONE,
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode: codes.get(keyOf({ topic: name, partition: partitionIndex })) ?? call.refuse('TOPIC_AUTHORIZATION_FAILED'),
        })),
      })),
    }
  } catch (thrown) {
    return { throttleTimeMs: 0, errorCode: call.groupFault(thrown).errorCode, topics: [] }
  }
}

function keyOf({ topic, partition }: PartitionRef): string {
  return `${topic}\n${partition}`
}
