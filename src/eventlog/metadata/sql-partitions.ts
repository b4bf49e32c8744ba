import { randomUUID } from 'node:crypto'
import { sql, type Kysely, type Selectable } from 'kysely'
import { rowLock, rowSet } from '#store/sql/row-set.ts'
import type { PartitionsTable } from '#store/sql/schema-event-log.ts'
import type { Database, Schema } from '#store/sql/schema.ts'
import type { AcquiredPartition, AcquireRequest, AgentSession, PartitionRow } from './log-metadata.ts'
import { inTransaction, type Session } from './sql-session.ts'

/** The holder of a WAL keeps its agent id over restarts. */
export async function registerAgent(
  db: Kysely<Schema>,
  { walId, nowMs }: { walId: string; nowMs: number },
): Promise<AgentSession> {
  const row = await db
    .insertInto('log_agents')
    .values({ id: randomUUID(), wal_id: walId, epoch: 1, registered_at_ms: nowMs, renewed_at_ms: nowMs, is_confirmed: 0 })
    .onConflict((conflict) =>
      conflict.column('wal_id').doUpdateSet(({ eb }) => ({ epoch: eb('log_agents.epoch', '+', 1), renewed_at_ms: nowMs })),
    )
    .returning(['id', 'epoch', 'is_confirmed'])
    .executeTakeFirstOrThrow()
  return { agentId: row.id, epoch: row.epoch, isConfirmed: row.is_confirmed === 1 }
}

export async function confirmAgent(db: Kysely<Schema>, agentId: string): Promise<void> {
  await db.updateTable('log_agents').set({ is_confirmed: 1 }).where('id', '=', agentId).execute()
}

/** Columns of the partitions that exist, locked, in order of their ids. */
export async function lockPartitions<Column extends keyof PartitionsTable>(
  { db, dialect }: Session,
  partitionIds: readonly number[],
  columns: readonly Column[],
): Promise<Pick<Selectable<PartitionsTable>, Column>[]> {
  const ids = rowSet(dialect, partitionIds, { id: ['bigint', (id) => id] })
  const { rows } = await sql<Pick<Selectable<PartitionsTable>, Column>>`
    select ${sql.join(columns.map((name) => sql.ref(name)))} from partitions
    where id in (select id from ${ids} as wanted) order by id ${rowLock(dialect, 'for update')}
  `.execute(db)
  return rows
}

export async function acquirePartitions(database: Database, request: AcquireRequest): Promise<AcquiredPartition[]> {
  const { agentId, walId, partitions, ceilingStep } = request
  const wishes = new Map(partitions.map(({ partitionId, isDirty }) => [partitionId, isDirty]))
  return await inTransaction(database, async (session) => {
    const rows = await lockPartitions(session, [...wishes.keys()], partitionColumns)
    const acquired = rows
      .filter(({ owner, dirty_wal }) => (owner ?? agentId) === agentId && (dirty_wal ?? walId) === walId)
      .map((row) => ({
        ...row,
        owner: agentId,
        epoch: row.epoch + 1,
        dirty_wal: wishes.get(row.id) ? walId : row.dirty_wal,
        // Never down: below it offsets may have been shown.
        offset_ceiling: Math.max(row.offset_ceiling, row.next_offset + ceilingStep),
      }))
    await updateOwners(session, acquired)
    return acquired.map(toAcquired)
  })
}

async function updateOwners({ db, dialect }: Session, rows: readonly Selectable<PartitionsTable>[]): Promise<void> {
  const changes = rowSet(dialect, rows, {
    partition_id: ['bigint', (row) => row.id],
    new_owner: ['text', (row) => row.owner],
    new_epoch: ['bigint', (row) => row.epoch],
    new_dirty_wal: ['text', (row) => row.dirty_wal],
    new_ceiling: ['bigint', (row) => row.offset_ceiling],
  })
  await sql`
    update partitions
    set owner = new_owner, epoch = new_epoch, dirty_wal = new_dirty_wal, offset_ceiling = new_ceiling
    from ${changes} as changed
    where partitions.id = changed.partition_id
  `.execute(db)
}

export async function raiseCeiling(
  db: Kysely<Schema>,
  { agentId, partitionId, epoch, ceiling }: { agentId: string; partitionId: number; epoch: number; ceiling: number },
): Promise<boolean> {
  const { rows } = await sql`
    update partitions
    set offset_ceiling = case when offset_ceiling < ${ceiling} then ${ceiling} else offset_ceiling end
    where id = ${partitionId} and owner = ${agentId} and epoch = ${epoch}
    returning id
  `.execute(db)
  return rows.length > 0
}

export async function releasePartitions(
  database: Database,
  { agentId, partitions }: { agentId: string; partitions: readonly { partitionId: number; epoch: number }[] },
): Promise<void> {
  const epochs = new Map(partitions.map(({ partitionId, epoch }) => [partitionId, epoch]))
  await inTransaction(database, async (session) => {
    const rows = await lockPartitions(session, [...epochs.keys()], partitionColumns)
    const released = rows
      .filter((row) => row.owner === agentId && row.epoch === epochs.get(row.id))
      .map((row) => ({ ...row, owner: null, dirty_wal: null }))
    await updateOwners(session, released)
  })
}

const partitionColumns = [
  'id',
  'topic_id',
  'partition_index',
  'owner',
  'epoch',
  'dirty_wal',
  'offset_ceiling',
  'next_offset',
  'log_start',
  'size_bytes',
] as const

function toAcquired(row: Selectable<PartitionsTable>): AcquiredPartition {
  const { partitionId, epoch, nextOffset, offsetCeiling, logStart, sizeBytes } = toPartition(row)
  return { partitionId, epoch, nextOffset, offsetCeiling, logStart, sizeBytes }
}

export function toPartition(row: Selectable<PartitionsTable>): PartitionRow {
  return {
    partitionId: row.id,
    topicId: row.topic_id,
    index: row.partition_index,
    owner: row.owner,
    epoch: row.epoch,
    dirtyWal: row.dirty_wal,
    offsetCeiling: row.offset_ceiling,
    nextOffset: row.next_offset,
    logStart: row.log_start,
    sizeBytes: row.size_bytes,
  }
}
