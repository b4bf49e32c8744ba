import type { GeneratedAlways } from 'kysely'

/** Tables of the event log. Offsets, sizes and times are numbers, exact up to 2^53; times are milliseconds since the epoch. */
export type EventLogSchema = {
  log_agents: LogAgentsTable
  topics: TopicsTable
  partitions: PartitionsTable
  removed_partitions: RemovedPartitionsTable
  log_objects: LogObjectsTable
  extents: ExtentsTable
  producers: ProducersTable
  log_counters: LogCountersTable
  consumer_groups: ConsumerGroupsTable
  group_offsets: GroupOffsetsTable
  acls: AclsTable
  scram_credentials: ScramCredentialsTable
}

/** Who has ever written: one row for each write-ahead log. */
type LogAgentsTable = {
  id: string
  wal_id: string
  /** Grows with each registration. */
  epoch: number
  registered_at_ms: number
  /** The last registration. */
  renewed_at_ms: number
  /** 1: a start has found nothing in the write-ahead log that this database did not know. */
  is_confirmed: number
}

type TopicsTable = {
  /** UUID. */
  id: string
  name: string
  /** JSON of `TopicConfig`. */
  config: string
  created_at_ms: number
}

export type PartitionsTable = {
  id: GeneratedAlways<number>
  topic_id: string
  partition_index: number
  owner: string | null
  epoch: number
  /** The WAL that may hold acknowledged records which are not committed. */
  dirty_wal: string | null
  offset_ceiling: number
  next_offset: number
  log_start: number
  size_bytes: number
}

/** Partitions of deleted topics whose extents, producers and group offsets are not all removed yet. */
type RemovedPartitionsTable = {
  topic_id: string
  partition_id: number
}

/**
 *   reserved ──commit──► committed ──last extent gone──► deleting ──► (no row)
 *      └──given up, or every run refused──────────────────────▲
 */
type LogObjectsTable = {
  id: string
  object_key: string
  /** Who reserved it. */
  agent_id: string
  state: 'reserved' | 'committed' | 'deleting'
  /** 0 until the commit. */
  size_bytes: number
  /** Extents that lie in the object. */
  live_refs: number
  /** The answer to the commit, run-length coded; null: it was never committed. */
  verdicts: string | null
  reserved_at_ms: number
  committed_at_ms: number | null
  deleting_at_ms: number | null
}

/** Where the records of a partition are: one run in one object. */
export type ExtentsTable = {
  partition_id: number
  base_offset: number
  last_offset: number
  object_id: string
  position_bytes: number
  length_bytes: number
  min_timestamp_ms: number
  max_timestamp_ms: number
  batch_count: number
  /** Packed integers. */
  sparse: Uint8Array
}

export type ProducersTable = {
  partition_id: number
  producer_id: number
  producer_epoch: number
  /** Packed integers. */
  batches: Uint8Array
  updated_at_ms: number
}

type LogCountersTable = {
  name: 'producer-id'
  next_value: number
}

export type ConsumerGroupsTable = {
  id: string
  generation: number
  protocol_type: string
  protocol: string | null
  leader: string | null
  /** JSON, bytes as base64. */
  members: string
  member_count: number
  updated_at_ms: number
}

type GroupOffsetsTable = {
  group_id: string
  topic_id: string
  partition_index: number
  committed_offset: number
  /** -1: not given. */
  leader_epoch: number
  /** UTF-8. */
  metadata: Uint8Array
  committed_at_ms: number
}

export type AclsTable = {
  resource_type: string
  resource_name: string
  pattern_type: string
  principal: string
  host: string
  operation: string
  permission: string
}

export type ScramCredentialsTable = {
  user_name: string
  mechanism: string
  salt: Uint8Array
  stored_key: Uint8Array
  server_key: Uint8Array
  iterations: number
}
