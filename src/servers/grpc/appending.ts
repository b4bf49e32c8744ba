import type { AckLevel } from '#eventlog/topic-config.ts'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { encodeBatches, groupByPartition, type NewBatch } from '#formats/protobuf/record-batches.ts'
import type { produceRequest, produceResponse } from '#formats/protobuf/schemas/log-v1.ts'
import type { InputOf, ValueOf } from '#formats/protobuf/types.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { GrpcContext } from './context.ts'
import type { Appended, LogTopic } from './log-hub.ts'

export type ProduceRequest = ValueOf<typeof produceRequest>
export type ProduceResponse = InputOf<typeof produceResponse>

/** Records of a request become batches of at most about this size. */
const targetBatchBytes = 524_288
/** A request without a deadline is answered after this time; what it brought may still come to be. */
const maxWaitMs = 60_000

const ackLevels = { ACK_DEFAULT: undefined, ACK_NONE: 'none', ACK_WAL: 'wal', ACK_OBJECT: 'object' } as const
const ackNames = { none: 'ACK_NONE', wal: 'ACK_WAL', object: 'ACK_OBJECT' } as const satisfies Record<AckLevel, string>

type Target = { readonly partition: number; readonly batches: readonly NewBatch[] }
type Produced = NonNullable<ProduceResponse['partitions']>[number]

/**
 * Appends the records of one request. They have their places in their partitions when this returns, so that requests keep their order; it resolves when all of them are
 * acknowledged. Throws `MALFORMED` and what the log throws, for the first of the partitions that failed.
 */
export async function appendRecords(
  request: ProduceRequest,
  { context, timeoutMs = maxWaitMs }: { context: GrpcContext; timeoutMs?: number | undefined },
): Promise<ProduceResponse> {
  const { hub } = context
  const topic = hub.topics.get(request.topic)
  const targets = targetsOf(request, topic, context)
  const level = ackLevels[request.ack]
  const options = { timeoutMs: Math.min(timeoutMs, maxWaitMs), ...(level ? { ack: level } : {}) }
  const appends = targets.map(({ partition, batches }) =>
    Promise.all(batches.map(({ bytes }) => hub.append({ topic: topic.name, partition }, bytes, options))),
  )
  const [only] = appends
  const results = only && appends.length === 1 ? [await only] : await allOf(appends, targets)
  const partitions = targets.map((target, index) => producedOf(target, results[index] ?? []))
  const ack = results[0]?.[0]?.ack ?? 'none'
  return { partitions, ack: ackNames[ack] }
}

function targetsOf(request: ProduceRequest, topic: LogTopic, context: GrpcContext): readonly Target[] {
  const { partition, records } = request
  if (request.recordBatch.length > 0) return [rawTarget(request)]
  if (records.count === 0) throw new AppError('MALFORMED', 'the request has no records; send at least one')
  const options = {
    nowMs: context.clock.nowMs(),
    targetBytes: Math.min(targetBatchBytes, topic.config.maxMessageBytes),
  }
  const partitionCount = topic.partitions.length
  const only = partition ?? (partitionCount === 1 ? 0 : undefined)
  if (only !== undefined) return [{ partition: only, batches: encodeBatches(records, options) }]
  const groups = groupByPartition(records, { partitionCount, keylessPartition: context.sticky.next(topic) })
  return [...groups]
    .toSorted(([a], [b]) => a - b)
    .map(([index, chosen]) => ({ partition: index, batches: encodeBatches(records, options, chosen) }))
}

function rawTarget({ partition, records, recordBatch }: ProduceRequest): Target {
  if (records.count > 0) throw new AppError('MALFORMED', 'the request has records and a record batch; send one of the two')
  if (partition === undefined) throw new AppError('MALFORMED', 'a record batch needs a partition; name it')
  const { recordCount } = readBatchHeader(recordBatch)
  // The log keeps and changes the memory; this is a view into what the socket gave.
  return { partition, batches: [{ bytes: Buffer.from(recordBatch), recordCount }] }
}

function producedOf({ partition, batches }: Target, appended: readonly Appended[]): Produced {
  const recordCount = batches.reduce((sum, batch) => sum + batch.recordCount, 0)
  const [first] = appended
  if (!first) return { partition, recordCount }
  const { baseOffset, appendTimeMs, isDuplicate } = first
  return { partition, baseOffset, recordCount, appendTimeMs, isDuplicate }
}

/** Waits for all partitions, so that the error can say what has become of the others. */
async function allOf(appends: readonly Promise<Appended[]>[], targets: readonly Target[]): Promise<Appended[][]> {
  const settled = await Promise.allSettled(appends)
  const kept = settled.filter(({ status }) => status === 'fulfilled').length
  return settled.map((one, index) => {
    if (one.status === 'fulfilled') return one.value
    const error = toAppError(one.reason)
    const others =
      kept === 0
        ? ''
        : `; records for ${kept} other of ${targets.length} partitions were kept, and come twice if all are sent again`
    throw new AppError(error.code, `partition ${targets[index]?.partition ?? 0}: ${error.message}${others}`, { cause: error })
  })
}
