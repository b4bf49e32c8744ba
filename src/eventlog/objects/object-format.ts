import { crc32c } from '#formats/kafka/crc32c.ts'
import { headersOf, type BatchHeader } from '#formats/kafka/record-batch.ts'
import { AppError } from '#lib/errors.ts'
import type { ProducerBatch, RunRow, SparsePoint } from '../metadata/log-metadata.ts'
import { encodeObjectTail, type IndexedRun, type RunProducer } from './object-index.ts'

/** Consecutive batches of one producer, with their offsets in place, and what their headers say together. */
export type ObjectSpan = {
  readonly bytes: Buffer
  readonly place: {
    readonly baseOffset: number
    readonly lastOffset: number
    readonly batchCount: number
    readonly minTimestampMs: number
    readonly maxTimestampMs: number
    readonly producerId: number
  }
}

/** Consecutive spans of one partition on their way into an object. */
export type ObjectRun = {
  readonly partitionId: number
  readonly topicId: string
  readonly topicName: string
  readonly partition: number
  readonly epoch: number
  readonly spans: readonly ObjectSpan[]
}

/** An object as chunks to be written one after the other, as often as it takes, and its runs as the database takes them, in the order given. */
export type EncodedObject = {
  readonly chunks: Iterable<Buffer>
  readonly sizeBytes: number
  readonly runs: readonly RunRow[]
}

/** All objects of the log are below this. */
export const objectPrefix = 'data/v1/'

/** About as far as this lie the sparse points of a run from each other. */
const sparseStepBytes = 64 * 2 ** 10
/** As many batches of one producer are told as its clients may have in flight: Kafka's `max.in.flight.requests.per.connection`. */
const batchesPerProducer = 5
/** Sequences of producers wrap here. */
const sequenceModulus = 2 ** 31

/**
 * The key of an object: `data/v1/{hash}/{agent}/{id}.log`. The hash comes first, so that a bucket can spread the load over many prefixes; the agent is for
 * people who look for the origin of an object.
 */
export function objectKeyFor(objectId: string, agentId: string): string {
  const hash = (crc32c(Buffer.from(objectId)) % 256).toString(16).padStart(2, '0')
  return `${objectPrefix}${hash}/${agentId.slice(0, 8)}/${objectId}.log`
}

/** Whether an object with this id can have this key, whoever wrote it. */
export function isKeyOf(key: string, objectId: string): boolean {
  const [, , , agent = ''] = key.split('/')
  return key === objectKeyFor(objectId, agent)
}

/**
 * Lays out an object: run after run, the batches as they are; then the index and the footer (object-index.ts). Spans are not copied, so their memory must
 * stay as it is until the object is stored.
 */
export function encodeObject(objectId: string, runs: readonly ObjectRun[]): EncodedObject {
  let positionBytes = 0
  const indexed = runs.map((run) => {
    const described = describeRun(run, positionBytes)
    positionBytes += described.row.lengthBytes
    return described
  })
  const tail = encodeObjectTail({ objectId, runs: indexed }, positionBytes)
  return {
    chunks: {
      *[Symbol.iterator]() {
        for (const { spans } of runs) for (const { bytes } of spans) yield bytes
        yield tail
      },
    },
    sizeBytes: positionBytes + tail.length,
    runs: indexed.map(({ row }) => row),
  }
}

function describeRun({ spans, partitionId, epoch, topicId, topicName, partition }: ObjectRun, positionBytes: number): IndexedRun {
  const sparse: SparsePoint[] = []
  const producers = new Map<number, RunProducer & { batches: ProducerBatch[] }>()
  let [baseOffset, nextOffset, batchCount, lengthBytes, sparseEndBytes] = [-1, -1, 0, 0, sparseStepBytes]
  let [minTimestampMs, maxTimestampMs] = [Infinity, -Infinity]
  for (const { bytes, place } of spans) {
    if (baseOffset < 0) baseOffset = place.baseOffset
    else if (place.baseOffset !== nextOffset) throw notConsecutive({ topicName, partition, nextOffset, place })
    if (lengthBytes >= sparseEndBytes) {
      sparse.push({ offset: place.baseOffset, positionBytes: lengthBytes, maxTimestampMs })
      sparseEndBytes = lengthBytes + sparseStepBytes
    }
    if (place.producerId >= 0) for (const header of headersOf(bytes)) noteProducer(producers, header)
    nextOffset = place.lastOffset + 1
    batchCount += place.batchCount
    lengthBytes += bytes.length
    minTimestampMs = Math.min(minTimestampMs, place.minTimestampMs)
    maxTimestampMs = Math.max(maxTimestampMs, place.maxTimestampMs)
  }
  if (spans.length === 0) throw new AppError('INTERNAL', `a run of partition ${partition} of topic "${topicName}" has no batches`)
  const offsets = { baseOffset, lastOffset: nextOffset - 1 }
  const row = { ...offsets, partitionId, epoch, positionBytes, lengthBytes, minTimestampMs, maxTimestampMs, sparse }
  return { topicId, topicName, partition, row: { ...row, batchCount }, producers: [...producers.values()] }
}

/** Keeps the last batches of the newest epoch. */
function noteProducer(producers: Map<number, RunProducer & { batches: ProducerBatch[] }>, header: BatchHeader): void {
  const { producerId, producerEpoch, baseOffset, baseSequence: firstSequence } = header
  const known = producers.get(producerId)
  const producer = known?.producerEpoch === producerEpoch ? known : { producerId, producerEpoch, batches: [] }
  producers.set(producerId, producer)
  const lastSequence = (firstSequence + header.recordCount - 1) % sequenceModulus
  const lastOffset = baseOffset + header.lastOffsetDelta
  producer.batches.push({ firstSequence, lastSequence, baseOffset, lastOffset, timestampMs: header.maxTimestampMs })
  if (producer.batches.length > batchesPerProducer) producer.batches.shift()
}

type Break = { topicName: string; partition: number; nextOffset: number; place: ObjectSpan['place'] }

function notConsecutive({ topicName, partition, nextOffset, place }: Break): AppError {
  const message = `a run of partition ${partition} of topic "${topicName}" has offset ${place.baseOffset} where ${nextOffset} comes next`
  return new AppError('INTERNAL', message)
}
