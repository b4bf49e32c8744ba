import type { AckLevel, TopicConfig } from '#eventlog/topic-config.ts'
import type { AppError } from '#lib/errors.ts'

/** The event log as the API needs it. */
export interface LogHub {
  readonly topics: TopicsHub
  readonly groups: GroupsHub
  /**
   * Takes its place in the partition before it returns; resolves at the ack level. The memory of `batch` belongs to the log from now on. Throws
   * `TOPIC_NOT_FOUND`, `PARTITION_*`, `RECORD_BATCH_*`, `PRODUCER_*`, `LOG_*`, `TIMEOUT`.
   */
  append(ref: PartitionRef, batch: Buffer, options: { ack?: AckLevel; timeoutMs?: number }): Promise<Appended>
  /** One answer for each partition, in order. Answers early with what is there when the signal fires. */
  fetch(request: FetchRequest): Promise<readonly FetchedPartition[]>
  /** The first record with this time (milliseconds since the epoch) or a later one; offset -1: there is none. */
  findOffset(
    ref: PartitionRef,
    at: 'earliest' | 'latest' | number,
  ): Promise<{ readonly offset: number; readonly timestampMs: number }>
  /** Returns the new log start; -1 stands for the high watermark. Throws `OFFSET_OUT_OF_RANGE`. */
  deleteRecords(ref: PartitionRef, beforeOffset: number): Promise<number>
}

export type PartitionRef = { readonly topic: string; readonly partition: number }
export type Appended = { readonly baseOffset: number; readonly lastOffset: number; readonly ack: AckLevel }

export type FetchRequest = {
  readonly partitions: readonly (PartitionRef & { readonly offset: number; readonly maxBytes: number })[]
  readonly maxBytes: number
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly signal?: AbortSignal
}
/** The first batch may begin before the offset asked for. */
export type FetchedPartition = PartitionRef & {
  readonly batches: readonly Buffer[]
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly error?: AppError
}

/** The topics of the log. Those that take a name throw `TOPIC_NOT_FOUND`. */
export interface TopicsHub {
  /** By name. */
  list(): readonly LogTopic[]
  find(name: string): LogTopic | undefined
  get(name: string): LogTopic
  /** Throws `TOPIC_EXISTS`, `TOPIC_INVALID`. */
  create(topic: {
    readonly name: string
    readonly partitionCount?: number
    readonly config?: Partial<TopicConfig>
  }): Promise<LogTopic>
  delete(name: string): Promise<void>
  /** Throws `TOPIC_INVALID` when there are as many or more. */
  addPartitions(name: string, total: number): Promise<LogTopic>
  /** Throws `TOPIC_INVALID`. */
  configure(name: string, changes: Partial<TopicConfig>): Promise<LogTopic>
}

export type LogTopic = {
  readonly id: string
  readonly name: string
  readonly config: TopicConfig
  readonly createdAtMs: number
  readonly isInternal: boolean
  readonly partitions: readonly LogPartition[]
  /** Throws `PARTITION_NOT_FOUND`. */
  partition(index: number): LogPartition
}

export type LogPartition = {
  readonly index: number
  readonly epoch: number
  readonly isOwned: boolean
  /** Why producers are refused. */
  readonly fault: AppError | undefined
  readonly logStart: number
  readonly highWatermark: number
  /** Bytes in the object store. */
  readonly committedBytes: number
  /** Since the start. */
  readonly appended: Traffic
  readonly fetched: Traffic
}

export type Traffic = { readonly records: number; readonly bytes: number }

/** The coordinator of consumer groups. */
export interface GroupsHub {
  /** By id. */
  list(): readonly LogGroup[]
  describe(groupId: string): LogGroup | undefined
  /** Throws `GROUP_*`. */
  commitOffsets(request: {
    readonly groupId: string
    readonly memberId: string
    readonly instanceId: string | null
    /** -1: from somebody who is no member. */
    readonly generation: number
    readonly offsets: readonly CommittedOffset[]
  }): Promise<readonly PartitionFault[]>
  /** All of the group's; none for a group that is not there. */
  committedOffsets(groupId: string): Promise<readonly CommittedOffset[]>
  /** Throws `GROUP_NOT_FOUND`, `GROUP_NOT_EMPTY`. */
  delete(groupId: string): Promise<void>
  /** Throws `GROUP_NOT_FOUND`, `GROUP_NOT_EMPTY`. */
  deleteOffsets(groupId: string, partitions: readonly PartitionRef[]): Promise<readonly PartitionFault[]>
}

export type CommittedOffset = PartitionRef & {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
}
export type PartitionFault = PartitionRef & { readonly error?: AppError }
export type LogGroup = {
  readonly groupId: string
  readonly state: string
  readonly generation: number
  readonly protocolType: string
  /** Empty: none yet. */
  readonly protocol: string
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly clientId: string
    readonly clientHost: string
    readonly assignment: Buffer
  }[]
}
