import type { AclRow, ScramRow } from '#eventlog/metadata/log-metadata.ts'
import type { AckLevel, TopicConfig } from '#eventlog/topic-config.ts'
import type { AppError } from '#lib/errors.ts'

/** The event log as the Kafka server needs it. */
export interface LogHub {
  /** This node on the wire. */
  readonly nodeId: number
  readonly topics: TopicsHub
  readonly groups: GroupsHub
  readonly metadata: SecurityStore
  /**
   * Takes its place in the partition before it returns; resolves at the ack level. The memory of `batch` belongs to the log from now on. Throws
   * `TOPIC_NOT_FOUND`, `PARTITION_*`, `RECORD_BATCH_*`, `PRODUCER_*`, `LOG_*`, `TIMEOUT`.
   */
  append(ref: PartitionRef, batch: Buffer, options: { ack?: AckLevel; timeoutMs?: number }): Promise<Appended>
  /** The same for some batches, without a promise: the sink hears once what came of each, perhaps before this returns. */
  offer(
    ref: PartitionRef,
    batches: PackedBatches,
    options: { ack?: AckLevel; timeoutMs?: number },
    sink: (results: readonly (Appended | AppError)[]) => void,
  ): void
  /** One answer for each partition, in order. Answers early with what is there when the signal fires. */
  fetch(request: FetchRequest): Promise<readonly FetchedPartition[]>
  /** Offset -1: there is no record that late. */
  findOffset(
    ref: PartitionRef,
    at: 'earliest' | 'latest' | 'max-timestamp' | number,
  ): Promise<{ readonly offset: number; readonly timestampMs: number }>
  /** Returns the new log start; -1 stands for the high watermark. */
  deleteRecords(ref: PartitionRef, beforeOffset: number): Promise<number>
  allocateProducerId(): Promise<number>
}

/** Where access rules and SCRAM credentials are kept. */
export interface SecurityStore {
  loadAcls(): Promise<AclRow[]>
  addAcls(acls: readonly AclRow[]): Promise<void>
  removeAcls(acls: readonly AclRow[]): Promise<void>
  loadScramCredentials(): Promise<ScramRow[]>
  saveScramCredential(row: ScramRow): Promise<void>
  /** False: it was not there. */
  deleteScramCredential(request: { user: string; mechanism: string }): Promise<boolean>
}

/** Batches one behind the other, and where each of them ends. */
export type PackedBatches = { readonly bytes: Buffer; readonly ends: readonly number[] }

export type PartitionRef = { readonly topic: string; readonly partition: number }

export type Appended = {
  readonly baseOffset: number
  /** -1 where the times of records are those of the producer. */
  readonly appendTimeMs: number
  readonly logStartOffset: number
}

export type FetchRequest = {
  readonly partitions: readonly FetchPosition[]
  readonly maxBytes: number
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly signal?: AbortSignal
}
export type FetchPosition = PartitionRef & { readonly offset: number; readonly maxBytes: number }
export type FetchedPartition = PartitionRef & {
  readonly batches: readonly Buffer[]
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly error?: AppError
}

/** The topics of the log. */
export interface TopicsHub {
  /** By name. */
  list(): readonly Topic[]
  find(name: string): Topic | undefined
  findById(id: string): Topic | undefined
  /** Throws `TOPIC_EXISTS`, `TOPIC_INVALID`. */
  create(topic: NewTopic): Promise<Topic>
  /** The topic, made with default settings when it is not there. Throws `TOPIC_INVALID`. */
  ensure(topic: NewTopic): Promise<Topic>
  /** Throws what `create` would. */
  checkNew(topic: NewTopic): void
  /** Throws `TOPIC_NOT_FOUND`. */
  delete(name: string): Promise<void>
  /** Throws `TOPIC_NOT_FOUND`, `TOPIC_INVALID`. */
  addPartitions(name: string, total: number): Promise<Topic>
  /** Throws `TOPIC_NOT_FOUND`, `TOPIC_INVALID`. */
  configure(name: string, changes: Partial<TopicConfig>): Promise<Topic>
}

export type NewTopic = { readonly name: string; readonly partitionCount?: number; readonly config?: Partial<TopicConfig> }
export type Topic = {
  readonly id: string
  readonly name: string
  readonly config: TopicConfig
  readonly isInternal: boolean
  readonly partitions: readonly PartitionView[]
}
export type PartitionView = { readonly index: number; readonly highWatermark: number }

/** The coordinator of consumer groups. All throw `GROUP_*`; `SHUTTING_DOWN`, `DATABASE_UNAVAILABLE` where they wait. */
export interface GroupsHub {
  join(request: JoinRequest): Promise<Joined>
  sync(request: SyncRequest): Promise<Synced>
  heartbeat(request: MemberRef): void
  leave(request: {
    readonly groupId: string
    readonly members: readonly { readonly memberId: string; readonly instanceId: string | null }[]
  }): readonly { readonly memberId: string; readonly instanceId: string | null; readonly error?: AppError }[]
  commitOffsets(
    request: MemberRef & { readonly offsets: readonly (PartitionRef & CommittedOffset)[] },
  ): Promise<readonly PartitionFault[]>
  /** All of the group's when no partitions are named; offset -1: none. */
  committedOffsets(groupId: string, partitions?: readonly PartitionRef[]): Promise<readonly (PartitionRef & CommittedOffset)[]>
  describe(groupId: string): GroupView | undefined
  list(): readonly GroupView[]
  delete(groupId: string): Promise<void>
  deleteOffsets(groupId: string, partitions: readonly PartitionRef[]): Promise<readonly PartitionFault[]>
}

/** `generation` is -1 for consumers that are no members. */
export type MemberRef = {
  readonly groupId: string
  readonly memberId: string
  readonly instanceId: string | null
  readonly generation: number
}
export type JoinRequest = {
  readonly groupId: string
  /** Empty for a new member. */
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[]
  /** A new member is first told its id, with `GROUP_MEMBER_ID_REQUIRED`. */
  readonly mustKnowMemberId: boolean
  /** The client knows `isAssignmentSkipped`. */
  readonly canSkipAssignment: boolean
  readonly signal?: AbortSignal
}
export type Joined = {
  readonly generation: number
  readonly protocolType: string
  readonly protocol: string
  readonly leader: string
  readonly memberId: string
  /** For the leader only. */
  readonly members: readonly { readonly memberId: string; readonly instanceId: string | null; readonly metadata: Buffer }[]
  readonly isAssignmentSkipped: boolean
}
export type SyncRequest = MemberRef & {
  readonly protocolType: string | null
  readonly protocol: string | null
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
  readonly signal?: AbortSignal
}
export type Synced = { readonly protocolType: string; readonly protocol: string; readonly assignment: Buffer }
export type CommittedOffset = { readonly offset: number; readonly leaderEpoch: number; readonly metadata: string }
export type PartitionFault = PartitionRef & { readonly error?: AppError }
export type GroupView = {
  readonly groupId: string
  readonly state: string
  readonly protocolType: string
  /** Empty: none yet. */
  readonly protocol: string
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly clientId: string
    readonly clientHost: string
    readonly metadata: Buffer
    readonly assignment: Buffer
  }[]
}

/** Who may connect, by name and password. */
export interface Access {
  /** Whether anybody needs credentials. */
  isRequired(): boolean
  /** Whether the configuration has this user. */
  hasUser(user: string): boolean
  /** In clear: SCRAM needs it so. Undefined also for a user who has none: no other credentials let that one in. */
  findPassword(user: string): string | undefined
  /** Access rules do not bind an administrator. */
  isAdmin(user: string): boolean
}
