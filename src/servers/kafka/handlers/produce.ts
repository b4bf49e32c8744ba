import type { AckLevel } from '#eventlog/topic-config.ts'
import type { RequestOf } from '#formats/kafka/apis.ts'
import { AppError } from '#lib/errors.ts'
import type { Call } from '../call.ts'
import type { Handler } from '../handler.ts'
import type { ProduceOptions } from '../repeated-produce.ts'
import { maxTimeoutMs } from './limits.ts'
import { accepted, noOffset, refused, type PartitionResponse } from './produce-answers.ts'

/** What producers may ask for: nothing, the disk of the leader, or what the topic is declared to survive. */
const acksSent = new Map<number, { readonly ack?: AckLevel }>([
  [0, { ack: 'none' }],
  [1, { ack: 'wal' }],
  [-1, {}],
])

/** Before version 3 there were other formats of records. The version range says otherwise, because librdkafka before 2.11 looks for it. */
const oldestVersion = 3

/**
 * Appends one batch to each partition. All take their places, in the order of the request, before anything is waited for: requests of one connection
 * may be handled at the same time and still be in order.
 */
export const produce: Handler<'produce'> = async (request, call) => {
  const append = appendWith(request, call)
  const appends = request.topicData.flatMap(({ name, partitionData }) =>
    partitionData.map(({ index, records }) => append(name, index, records)),
  )
  const [only] = appends
  const answers = appends.length === 1 && only ? [await only] : await Promise.all(appends)
  const responses = request.topicData.map(({ name, partitionData }) => {
    return { name, partitionResponses: answers.splice(0, partitionData.length) }
  })
  if (request.acks !== 0) return { responses }
  const failed = responses.some(({ partitionResponses }) => partitionResponses.some(({ errorCode }) => errorCode !== 0))
  // There is no answer in which to say it: the client learns it from the end of the connection, and looks the leader up again.
  if (failed) throw new AppError('REQUEST_INVALID', 'records were sent with acks=0 and could not be taken')
  return undefined
}

type Append = (topic: string, partition: number, records: Buffer | null) => Promise<PartitionResponse>

function appendWith(request: RequestOf<'produce'>, call: Call): Append {
  const { acks, timeoutMs, transactionalId } = request
  const refuse =
    (...[name, message]: Parameters<Call['refusal']>): Append =>
    async (_topic, index) => ({ index, ...noOffset, ...call.refusal(name, message) })
  const level = acksSent.get(acks)
  if (call.version < oldestVersion)
    return refuse('UNSUPPORTED_VERSION', 'records before format 2 are not taken; use Produce version 3 or later')
  if (!level) return refuse('INVALID_REQUIRED_ACKS', `acks is ${acks}; it can be -1, 0 or 1`)
  if (transactionalId !== null) return refuse('TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'there are no transactions')
  const options: ProduceOptions = { ...level, timeoutMs: Math.min(Math.max(timeoutMs, 1), maxTimeoutMs) }
  learn(request, options, call)
  return (topic, partition, records) => appendOne(call, { topic, partition, records, options })
}

/** One batch for one partition may be the first of many. */
function learn({ acks, topicData }: RequestOf<'produce'>, options: ProduceOptions, call: Call): void {
  const [topic, ...otherTopics] = topicData
  const [data, ...otherData] = topic?.partitionData ?? []
  if (acks === 0 || !topic || !data?.records || otherTopics.length > 0 || otherData.length > 0) return
  call.client.repeated.learn(call, data.records, { ref: { topic: topic.name, partition: data.index }, options })
}

async function appendOne(
  call: Call,
  {
    topic,
    partition: index,
    records,
    options,
  }: { topic: string; partition: number; records: Buffer | null; options: ProduceOptions },
): Promise<PartitionResponse> {
  if (!call.isAllowed('write', 'topic', topic))
    return { index, errorCode: call.refuse('TOPIC_AUTHORIZATION_FAILED'), ...noOffset }
  try {
    if (records === null || records.length === 0) throw new AppError('RECORD_BATCH_INVALID', 'there are no records')
    return accepted(index, await call.context.hub.append({ topic, partition: index }, records, options))
  } catch (thrown) {
    return refused(call, index, thrown)
  }
}
