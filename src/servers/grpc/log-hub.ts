import type { AckLevel, TopicConfig } from '#eventlog/topic-config.ts'
import type { AppError } from '#lib/errors.ts'

/** The event log as the gRPC server needs it. */
export interface LogHub {
  /** Why nothing can be appended; undefined while all is well. */
  readonly fault: AppError | undefined
  readonly topics: TopicsHub
  readonly groups: GroupsHub
  /**
   * Takes its place in the partition before it returns; resolves at the ack level. The memory of `batch` belongs to the log from now on. Throws
   * `TOPIC_NOT_FOUND`, `PARTITION_*`, `RECORD_BATCH_*`, `PRODUCER_*`, `LOG_*`, `TIMEOUT`.
   */
  append(ref: PartitionRef, batch: Buffer, options: { readonly ack?: AckLevel; readonly timeoutMs?: number }): Promise<Appended>
  /** One answer for each partition, in order. Answers early with what is there when the signal fires. */
  fetch(request: FetchRequest): Promise<readonly FetchedPartition[]>
  /** Offset -1: there is no record that late. */
  findOffset(ref: PartitionRef, at: 'earliest' | 'latest' | number): Promise<{ readonly offset: number }>
}

export type PartitionRef = { readonly topic: string; readonly partition: number }

export type Appended = {
  readonly baseOffset: number
  readonly lastOffset: number
  /** -1 where the times of records are those of the producer. */
  readonly appendTimeMs: number
  readonly ack: AckLevel
  readonly isDuplicate: boolean
}

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
}

export type LogTopic = {
  readonly id: string
  readonly name: string
  readonly createdAtMs: number
  readonly isInternal: boolean
  readonly config: TopicConfig
  readonly partitions: readonly LogPartition[]
}
export type LogPartition = {
  readonly index: number
  readonly isOwned: boolean
  readonly logStart: number
  readonly highWatermark: number
}

/** The coordinator of consumer groups. All throw `GROUP_INVALID`, `SHUTTING_DOWN`, `DATABASE_UNAVAILABLE`. */
export interface GroupsHub {
  /** Generation -1 and no member id: a consumer that only keeps its offsets here. Throws `GROUP_*`. */
  commitOffsets(request: {
    readonly groupId: string
    readonly memberId: string
    readonly instanceId: string | null
    readonly generation: number
    readonly offsets: readonly (PartitionRef & CommittedOffset)[]
  }): Promise<readonly (PartitionRef & { readonly error?: AppError })[]>
  /** All of the group's when no partitions are named; offset -1: none. */
  committedOffsets(groupId: string, partitions?: readonly PartitionRef[]): Promise<readonly (PartitionRef & CommittedOffset)[]>
  /** By id. */
  list(): readonly GroupView[]
}
export type CommittedOffset = { readonly offset: number; readonly leaderEpoch: number; readonly metadata: string }
export type GroupView = {
  readonly groupId: string
  readonly state: string
  readonly protocolType: string
  readonly generation: number
  readonly members: readonly unknown[]
}

/** Who may do what. */
export interface Access {
  /** Whether anybody needs credentials. */
  isRequired(): boolean
  findPassword(user: string): string | undefined
  /** Whether the user may produce and change. */
  isAdmin(user: string): boolean
}
