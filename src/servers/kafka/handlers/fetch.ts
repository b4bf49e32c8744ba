import type { RequestOf, ResponseInputOf } from '#formats/kafka/apis.ts'
import { toAppError } from '#lib/errors.ts'
import type { Call } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import type { FetchedPartition } from '../log-hub.ts'

/** The largest answer, whatever the client would take: what a slow client does not take stays in memory. */
const maxAnswerBytes = 16_777_216
/** What a client gets when answers that nobody takes have used up the memory for them. */
const minAnswerBytes = 65_536
/** Nobody is kept waiting longer; clients ask again. */
const maxWaitMs = 30_000
const readCommitted = 1

type Request = RequestOf<'fetch'>
type Asked = { readonly topic: string; readonly partition: number; readonly offset: number; readonly maxBytes: number }
type PartitionResponse = ResponseInputOf<'fetch'>['responses'][number]['partitions'][number]

/** Reads records; waits for them when there are few. Sessions (KIP-227) are not kept: the answer says so, and clients then ask for all each time. */
export const fetch: Handler<'fetch'> = async (request, call) => {
  if (request.sessionId !== 0) return { errorCode: call.refuse('FETCH_SESSION_ID_NOT_FOUND'), responses: [] }
  const asked = request.topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, fetchOffset, partitionMaxBytes }): Asked => ({
      topic,
      partition,
      offset: fetchOffset,
      maxBytes: partitionMaxBytes,
    })),
  )
  const allowed = asked.filter(({ topic }) => call.isAllowed('read', 'topic', topic))
  const fetched = new Map(
    (await read(call, request, allowed, { isWaiting: allowed.length === asked.length })).map((one) => [keyOf(one), one]),
  )
  const abortedTransactions = request.isolationLevel === readCommitted ? [] : null
  return {
    responses: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => {
        const found = fetched.get(keyOf({ topic, partition }))
        const response = found ? answerOf(call, found) : { ...nothing, errorCode: call.refuse('TOPIC_AUTHORIZATION_FAILED') }
        return { ...response, partitionIndex: partition, abortedTransactions }
      }),
    })),
  }
}

const nothing = { highWatermark: -1, lastStableOffset: -1, logStartOffset: -1, records: [] }

async function read(
  call: Call,
  { minBytes, maxBytes, maxWaitMs: waitMs }: Request,
  allowed: readonly Asked[],
  { isWaiting }: { isWaiting: boolean },
): Promise<readonly FetchedPartition[]> {
  const { client, context } = call
  const answerBytes = Math.max(minAnswerBytes, Math.min(maxAnswerBytes, context.answerBytes.freeBytes))
  const limitBytes = Math.min(Math.max(maxBytes, 0), answerBytes)
  const partitions = client.fetchOrder.arrange(allowed, keyOf)
  const fetched = await context.hub.fetch({
    partitions: partitions.map((one) => ({ ...one, maxBytes: Math.max(one.maxBytes, 0) })),
    maxBytes: limitBytes,
    minBytes: isWaiting ? Math.min(minBytes, limitBytes) : 0,
    maxWaitMs: isWaiting ? Math.min(Math.max(waitMs, 0), maxWaitMs) : 0,
    signal: client.signal,
  })
  const foundBytes = fetched.reduce((sum, { batches }) => sum + sizeOf(batches), 0)
  // An answer ends before the batch that would be too much: half of the limit is near enough to count as full.
  client.fetchOrder.note(fetched, keyOf, { isFull: foundBytes * 2 > limitBytes, hasData: ({ batches }) => batches.length > 0 })
  return fetched
}

function answerOf(
  call: Call,
  { error, batches, highWatermark, logStartOffset }: FetchedPartition,
): Omit<PartitionResponse, 'partitionIndex'> {
  const marks = { highWatermark, lastStableOffset: highWatermark, logStartOffset }
  if (!error) return { errorCode: kafkaErrors.NONE, ...marks, records: batches }
  const { errorCode } = call.fault(toAppError(error))
  return { errorCode, ...marks, records: [] }
}

function keyOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}\n${partition}`
}

function sizeOf(batches: readonly Buffer[]): number {
  return batches.reduce((sum, { length }) => sum + length, 0)
}
