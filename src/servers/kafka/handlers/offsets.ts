import type { ResponseInputOf } from '#formats/kafka/apis.ts'
import { AppError } from '#lib/errors.ts'
import type { Call } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import { Limiter } from '../limiter.ts'
import type { PartitionRef } from '../log-hub.ts'
import { maxAtOnce } from './limits.ts'

/** Stands for "none" where an offset, a time or an epoch is answered. */
const none = -1
/** Committed records are never taken back, so there is only one leader epoch. */
const leaderEpoch = 0

/** Times that stand for an offset. https://kafka.apache.org/protocol.html#The_Messages_ListOffsets */
const namedTimes = new Map<number, 'latest' | 'earliest' | 'max-timestamp'>([
  [-1, 'latest'],
  [-2, 'earliest'],
  [-3, 'max-timestamp'],
])

/** Finds offsets by time. */
export const listOffsets: Handler<'listOffsets'> = async (request, call) => ({
  topics: await eachPartition(request.topics, (name, { partitionIndex, timestamp }) =>
    findOffset(call, { topic: name, partition: partitionIndex }, timestamp),
  ),
})

type OffsetFound = ResponseInputOf<'listOffsets'>['topics'][number]['partitions'][number]

async function findOffset(call: Call, ref: PartitionRef, timestamp: number): Promise<OffsetFound> {
  const nothing = { partitionIndex: ref.partition, timestamp: none, offset: none }
  if (!call.isAllowed('describe', 'topic', ref.topic)) return { ...nothing, errorCode: call.refuse('TOPIC_AUTHORIZATION_FAILED') }
  try {
    const at = namedTimes.get(timestamp) ?? timestamp
    if (typeof at === 'number' && at < 0)
      throw new AppError('UNSUPPORTED', `there is no time ${at}; use -1, -2, -3 or milliseconds`)
    const { offset, timestampMs } = await call.context.hub.findOffset(ref, at)
    const isEdge = at === 'latest' || at === 'earliest'
    return {
      ...nothing,
      errorCode: kafkaErrors.NONE,
      offset,
      timestamp: isEdge ? none : timestampMs,
      leaderEpoch: offset < 0 ? none : leaderEpoch,
    }
  } catch (thrown) {
    return { ...nothing, errorCode: call.fault(thrown).errorCode }
  }
}

/** Where the records of a leader epoch end: clients see by it whether records that they have read were taken back. */
export const offsetForLeaderEpoch: Handler<'offsetForLeaderEpoch'> = (request, call) => ({
  topics: request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition, leaderEpoch: asked }) => endOfEpoch(call, { topic, partition }, asked)),
  })),
})

type EpochEnd = ResponseInputOf<'offsetForLeaderEpoch'>['topics'][number]['partitions'][number]

function endOfEpoch(call: Call, { topic, partition }: PartitionRef, asked: number): EpochEnd {
  const nothing = { partition, leaderEpoch: none, endOffset: none }
  if (!call.isAllowed('describe', 'topic', topic)) return { ...nothing, errorCode: call.refuse('TOPIC_AUTHORIZATION_FAILED') }
  const found = call.context.hub.topics.find(topic)?.partitions[partition]
  if (!found) return { ...nothing, errorCode: call.refuse('UNKNOWN_TOPIC_OR_PARTITION') }
  if (asked !== leaderEpoch) return { ...nothing, errorCode: kafkaErrors.NONE }
  return { partition, errorCode: kafkaErrors.NONE, leaderEpoch, endOffset: found.highWatermark }
}

/** Deletes records before an offset. */
export const deleteRecords: Handler<'deleteRecords'> = async (request, call) => ({
  throttleTimeMs: 0,
  topics: await eachPartition(request.topics, (name, { partitionIndex, offset }) =>
    deleteBefore(call, { topic: name, partition: partitionIndex }, offset),
  ),
})

type Deleted = ResponseInputOf<'deleteRecords'>['topics'][number]['partitions'][number]

async function deleteBefore(call: Call, ref: PartitionRef, offset: number): Promise<Deleted> {
  const nothing = { partitionIndex: ref.partition, lowWatermark: none }
  if (!call.isAllowed('delete', 'topic', ref.topic)) return { ...nothing, errorCode: call.refuse('TOPIC_AUTHORIZATION_FAILED') }
  try {
    return { ...nothing, errorCode: kafkaErrors.NONE, lowWatermark: await call.context.hub.deleteRecords(ref, offset) }
  } catch (thrown) {
    return { ...nothing, errorCode: call.fault(thrown).errorCode }
  }
}

/** Works on a few partitions at a time; the answer has the form of the question. */
async function eachPartition<Asked, Answer>(
  topics: readonly { readonly name: string; readonly partitions: readonly Asked[] }[],
  answer: (topic: string, asked: Asked) => Promise<Answer>,
): Promise<{ name: string; partitions: Answer[] }[]> {
  const limiter = new Limiter({ concurrency: maxAtOnce })
  return Promise.all(
    topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(partitions.map((asked) => limiter.run(() => answer(name, asked)))),
    })),
  )
}
