import type { PartitionView, TopicSummary, TopicView } from './log-contract.ts'
import type { LogPartition, LogTopic, Traffic } from './log-hub.ts'

/** A topic as JSON, without its partitions. */
export function topicSummary({ name, id, isInternal, createdAtMs, config, partitions }: LogTopic): TopicSummary {
  return {
    name,
    id,
    isInternal,
    createdAt: new Date(createdAtMs).toISOString(),
    config,
    partitionCount: partitions.length,
    recordCount: sumOf(partitions, ({ logStart, highWatermark }) => highWatermark - logStart),
    sizeBytes: sumOf(partitions, ({ committedBytes }) => committedBytes),
    ...trafficView({
      appended: trafficOf(partitions, ({ appended }) => appended),
      fetched: trafficOf(partitions, ({ fetched }) => fetched),
    }),
  }
}

/** A topic as JSON, with its partitions. */
export function topicView(topic: LogTopic): TopicView {
  return { ...topicSummary(topic), partitions: topic.partitions.map(partitionView) }
}

/** A partition as JSON. */
export function partitionView(partition: LogPartition): PartitionView {
  const { index, epoch, isOwned, fault, logStart, highWatermark, committedBytes } = partition
  return {
    partition: index,
    state: fault ? 'failed' : isOwned ? 'online' : 'unowned',
    ...(fault ? { error: { code: fault.code, message: fault.message } } : {}),
    epoch,
    logStartOffset: logStart,
    highWatermark,
    sizeBytes: committedBytes,
    ...trafficView(partition),
  }
}

function trafficView({ appended, fetched }: Pick<LogPartition, 'appended' | 'fetched'>) {
  return {
    appendedRecords: appended.records,
    appendedBytes: appended.bytes,
    fetchedRecords: fetched.records,
    fetchedBytes: fetched.bytes,
  }
}

function trafficOf(partitions: readonly LogPartition[], traffic: (partition: LogPartition) => Traffic): Traffic {
  return {
    records: sumOf(partitions, (partition) => traffic(partition).records),
    bytes: sumOf(partitions, (partition) => traffic(partition).bytes),
  }
}

function sumOf(partitions: readonly LogPartition[], value: (partition: LogPartition) => number): number {
  return partitions.reduce((sum, partition) => sum + value(partition), 0)
}
