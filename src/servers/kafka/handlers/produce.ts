import type { ResponseInputOf } from '#formats/kafka/apis.ts'
import type { AckLevel } from '#eventlog/topic-config.ts'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { AppError } from '#lib/errors.ts'
import type { Call } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import { maxTimeoutMs } from './limits.ts'

type PartitionResponse = ResponseInputOf<'produce'>['responses'][number]['partitionResponses'][number]
type Options = { readonly ack?: AckLevel; readonly timeoutMs: number }

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

function appendWith({ acks, timeoutMs, transactionalId }: Parameters<typeof produce>[0], call: Call): Append {
  const refuse =
    (...[name, message]: Parameters<Call['refusal']>): Append =>
    async (_topic, index) => ({ index, ...noOffset, ...call.refusal(name, message) })
  const level = acksSent.get(acks)
  if (call.version < oldestVersion)
    return refuse('UNSUPPORTED_VERSION', 'records before format 2 are not taken; use Produce version 3 or later')
  if (!level) return refuse('INVALID_REQUIRED_ACKS', `acks is ${acks}; it can be -1, 0 or 1`)
  if (transactionalId !== null) return refuse('TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'there are no transactions')
  const options: Options = { ...level, timeoutMs: Math.min(Math.max(timeoutMs, 1), maxTimeoutMs) }
  return (topic, partition, records) => appendOne(call, { topic, partition, records, options })
}

const noOffset = { baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 }

async function appendOne(
  call: Call,
  { topic, partition: index, records, options }: { topic: string; partition: number; records: Buffer | null; options: Options },
): Promise<PartitionResponse> {
  if (!call.isAllowed('write', 'topic', topic))
    return { index, errorCode: call.refuse('TOPIC_AUTHORIZATION_FAILED'), ...noOffset }
  try {
    const appended = await call.context.hub.append({ topic, partition: index }, requireBatch(records), options)
    return {
      index,
      errorCode: kafkaErrors.NONE,
      baseOffset: appended.baseOffset,
      logAppendTimeMs: appended.appendTimeMs,
      logStartOffset: appended.logStartOffset,
    }
  } catch (thrown) {
    return { index, ...noOffset, ...call.fault(thrown, { TRUNCATED: 'INVALID_RECORD', MALFORMED: 'INVALID_RECORD' }) }
  }
}

/** From version 3 on there is exactly one batch. */
function requireBatch(records: Buffer | null): Buffer {
  if (records === null || records.length === 0) throw new AppError('RECORD_BATCH_INVALID', 'there are no records')
  if (readBatchHeader(records).sizeBytes === records.length) return records
  throw new AppError('RECORD_BATCH_INVALID', 'there is more or less than one record batch; send one for each partition')
}
