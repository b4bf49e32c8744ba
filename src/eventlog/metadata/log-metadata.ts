import type { TopicConfig } from '../topic-config.ts'

/**
 * What the log knows about itself, in a database: topics, partitions with owner and epoch, objects, extents (where records are), producers, groups.
 * The database is the sequencer and the fence: what `commitObject` refuses did not happen. Every method is one
 * transaction, set-based, and safe to repeat after a lost answer; long removals go in bounded steps. All fail with `DATABASE_UNAVAILABLE` while the database is away.
 *
 * Offsets, sizes, ids and times are numbers, exact to 2^53. Times are milliseconds since the epoch.
 */
export interface LogMetadata {
  /** Makes or renews the session of the agent that holds this WAL; each call begins a new epoch. */
  registerAgent(agent: { walId: string; nowMs: number }): Promise<AgentSession>
  /** The write-ahead log of this agent held nothing that the database did not know: what it knows no more from now on was deleted. */
  confirmAgent(agentId: string): Promise<void>

  loadTopics(): Promise<TopicRow[]>
  /** Throws `TOPIC_EXISTS`. */
  createTopic(topic: { id: string; name: string; config: TopicConfig; partitionCount: number; nowMs: number }): Promise<TopicRow>
  /** Throws `TOPIC_NOT_FOUND`. */
  configureTopic(topic: { id: string; config: TopicConfig }): Promise<void>
  /** Adds partitions up to `total`. Throws `TOPIC_NOT_FOUND`, and `TOPIC_INVALID` when there are as many or more. */
  addPartitions(topic: { id: string; total: number }): Promise<PartitionRow[]>
  /** Removes topic, partitions, extents, producers and committed group offsets; objects without extents become deletable. False: it was gone. */
  deleteTopic(topic: { id: string; nowMs: number }): Promise<boolean>

  /**
   * Makes the agent owner of these partitions, each with a new epoch; marks them dirty with the agent's WAL when `isDirty`, and sets the offset ceiling
   * to `nextOffset + ceilingStep`. A partition that another agent owns, or that is dirty with another WAL, is left out of the answer.
   */
  acquirePartitions(request: AcquireRequest): Promise<AcquiredPartition[]>
  /** Raises the ceiling; false when the agent is no longer the owner in this epoch. */
  raiseCeiling(request: { agentId: string; partitionId: number; epoch: number; ceiling: number }): Promise<boolean>
  /** Takes the dirty marks off and gives the partitions back; only those that the agent owns in these epochs. */
  releasePartitions(request: { agentId: string; partitions: readonly { partitionId: number; epoch: number }[] }): Promise<void>

  /** Ids and keys for objects to come; until committed they are `reserved`. */
  reserveObjects(request: { agentId: string; objects: readonly { id: string; key: string }[]; nowMs: number }): Promise<void>
  /** Commits the runs of an object that is in the store. Repeating it for the same object gives the first answer again. */
  commitObject(commit: ObjectCommit): Promise<CommitAnswer>

  /** Extents of a partition that end at or after `fromOffset`, in order. */
  findExtents(request: { partitionId: number; fromOffset: number; limit: number }): Promise<ExtentRow[]>
  /** The first extent that may hold a record with this time or a later one. */
  findExtentByTime(request: { partitionId: number; timestampMs: number }): Promise<ExtentRow | undefined>

  /** Moves the log start up (never down) and drops the extents that end before it; objects without extents become deletable. Returns the log start. */
  advanceLogStart(request: {
    partitionId: number
    offset: number
    nowMs: number
  }): Promise<{ logStart: number; freedBytes: number }>
  /** Oldest extents first: `limit` of those below the partition's end, for retention by age and size. */
  oldestExtents(request: { partitionId: number; limit: number }): Promise<ExtentRow[]>
  /** Marks objects that stayed `reserved` since before `reservedBeforeMs` as deleting: no commit will take them any more. Returns how many. */
  abandonObjects(request: { reservedBeforeMs: number; nowMs: number; limit: number }): Promise<number>
  /** Objects that are `deleting` since before `deletingBeforeMs`. */
  findDeletable(request: { deletingBeforeMs: number; limit: number }): Promise<{ id: string; key: string; sizeBytes: number }[]>
  /** Forgets objects that were deleted from the store. */
  forgetObjects(ids: readonly string[]): Promise<void>
  /** All committed objects by id, for verification: `after` exclusive. */
  listObjects(request: { after: string; limit: number }): Promise<ObjectRow[]>

  loadProducers(partitionIds: readonly number[]): Promise<ProducerRow[]>
  /** The first of `count` producer ids that nobody else has. */
  allocateProducerIds(count: number): Promise<number>
  /** Forgets producers that were last used before then. */
  expireProducers(request: { updatedBeforeMs: number }): Promise<number>

  loadGroups(): Promise<GroupRow[]>
  /** Stores the state of a group as its last completed rebalance left it. */
  saveGroup(group: GroupRow): Promise<void>
  /** Removes the group with its offsets; false: it was not there. */
  deleteGroup(groupId: string): Promise<boolean>
  /** All or nothing; of two rows for one partition the later holds, those of topics that are gone are left out. */
  commitOffsets(commits: readonly OffsetRow[]): Promise<void>
  loadOffsets(groupId: string): Promise<OffsetRow[]>
  deleteOffsets(request: { groupId: string; partitions: readonly { topicId: string; partition: number }[] }): Promise<void>
  /** Removes offsets that were committed before then, of groups that were empty since before then (KIP-211). */
  expireOffsets(request: { committedBeforeMs: number }): Promise<number>

  loadAcls(): Promise<AclRow[]>
  addAcls(acls: readonly AclRow[]): Promise<void>
  removeAcls(acls: readonly AclRow[]): Promise<void>
  loadScramCredentials(): Promise<ScramRow[]>
  saveScramCredential(row: ScramRow): Promise<void>
  /** False: it was not there. */
  deleteScramCredential(request: { user: string; mechanism: string }): Promise<boolean>
}

/** `isConfirmed`: see `confirmAgent`. */
export type AgentSession = { readonly agentId: string; readonly epoch: number; readonly isConfirmed: boolean }

/** `id` is a UUID in its usual text form. */
export type TopicRow = {
  readonly id: string
  readonly name: string
  readonly config: TopicConfig
  readonly createdAtMs: number
  readonly partitions: readonly PartitionRow[]
}

export type PartitionRow = {
  readonly partitionId: number
  readonly topicId: string
  readonly index: number
  /** Agent id; null: nobody. */
  readonly owner: string | null
  readonly epoch: number
  /** The WAL that may hold acknowledged records of this partition that are not committed. */
  readonly dirtyWal: string | null
  readonly offsetCeiling: number
  /** The committed end: the next offset to commit. */
  readonly nextOffset: number
  readonly logStart: number
  readonly sizeBytes: number
}

export type AcquireRequest = {
  readonly agentId: string
  readonly walId: string
  readonly partitions: readonly { partitionId: number; isDirty: boolean }[]
  readonly ceilingStep: number
}
export type AcquiredPartition = Pick<
  PartitionRow,
  'partitionId' | 'epoch' | 'nextOffset' | 'offsetCeiling' | 'logStart' | 'sizeBytes'
>

/** Consecutive batches of one partition in an object. */
export type RunRow = {
  readonly partitionId: number
  readonly epoch: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly positionBytes: number
  readonly lengthBytes: number
  readonly minTimestampMs: number
  readonly maxTimestampMs: number
  readonly batchCount: number
  /** Where batches begin within the run, about every 64 KiB, first one left out. Encoded in the database as the implementation likes. */
  readonly sparse: readonly SparsePoint[]
}
/** `offset` is the base offset of the batch that begins `positionBytes` after the start of its run; `maxTimestampMs` is the largest before it. */
export type SparsePoint = { readonly offset: number; readonly positionBytes: number; readonly maxTimestampMs: number }

/** Where a run is; `objectKey` locates it in the object store. */
export type ExtentRow = Omit<RunRow, 'epoch'> & { readonly objectId: string; readonly objectKey: string }

export type ObjectRow = { readonly id: string; readonly key: string; readonly sizeBytes: number; readonly committedAtMs: number }

export type ObjectCommit = {
  readonly agentId: string
  readonly objectId: string
  readonly sizeBytes: number
  readonly runs: readonly RunRow[]
  readonly producers: readonly ProducerRow[]
  readonly nowMs: number
}

/**
 * One verdict for each run, in order. `fenced`: the agent is not the owner in this epoch. `gap`: the run does not begin at the partition's end. Refused runs
 * leave no trace; the others are committed. `refused` as a whole: the object was given up in between, nothing was committed.
 */
export type CommitAnswer = { readonly kind: 'committed'; readonly runs: readonly RunVerdict[] } | { readonly kind: 'refused' }
export type RunVerdict = 'committed' | 'fenced' | 'gap'

/** The last batches (at most five) of one idempotent producer in one partition. */
export type ProducerRow = {
  readonly partitionId: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly batches: readonly ProducerBatch[]
  readonly updatedAtMs: number
}
export type ProducerBatch = {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly timestampMs: number
}

export type GroupRow = {
  readonly groupId: string
  readonly generation: number
  readonly protocolType: string
  readonly protocol: string | null
  readonly leader: string | null
  readonly members: readonly GroupMemberRow[]
  readonly updatedAtMs: number
}
export type GroupMemberRow = {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[]
  readonly assignment: Buffer
}

export type OffsetRow = {
  readonly groupId: string
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  /** -1: not given. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly committedAtMs: number
}

/** One access rule, in the words of Kafka's ACL protocol. */
export type AclRow = {
  readonly resourceType: 'topic' | 'group' | 'cluster'
  readonly resourceName: string
  readonly patternType: 'literal' | 'prefixed'
  /** `User:name`, `User:*` is everyone. */
  readonly principal: string
  readonly host: string
  readonly operation: string
  readonly permission: 'allow' | 'deny'
}

/** RFC 5802: what the server keeps in place of a password. */
export type ScramRow = {
  readonly user: string
  readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
  readonly iterations: number
}
