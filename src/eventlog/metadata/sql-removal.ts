import { sql } from 'kysely'
import { rowLock, rowSet } from '#store/sql/row-set.ts'
import type { Database } from '#store/sql/schema.ts'
import { dropReferences } from './sql-objects.ts'
import { inSteps, rowsPerStep, type Session } from './sql-session.ts'

/** Partitions that one step looks at. */
const partitionsPerStep = 200

/** Removes what is left of a deleted topic: extents, producers and group offsets. */
export async function finishRemoval(database: Database, { topicId, nowMs }: { topicId: string; nowMs: number }): Promise<void> {
  await inSteps(database, async (session) => await removeSome(session, { topicId, nowMs }))
}

/** The same for topics whose deletion was broken off, by a crash or a database that went away. */
export async function finishRemovals(database: Database, { nowMs }: { nowMs: number }): Promise<void> {
  const topics = await database.db.selectFrom('removed_partitions').select('topic_id').distinct().execute()
  for (const topic of topics) await finishRemoval(database, { topicId: topic.topic_id, nowMs })
}

async function removeSome(session: Session, { topicId, nowMs }: { topicId: string; nowMs: number }): Promise<'more' | 'done'> {
  const { db, dialect } = session
  const { rows } = await sql<{ partition_id: number }>`
    select partition_id from removed_partitions where topic_id = ${topicId}
    order by partition_id limit ${partitionsPerStep} ${rowLock(dialect, 'for update')}
  `.execute(db)
  if (rows.length === 0) return 'done'
  const partitionIds = rows.map((row) => row.partition_id)
  if ((await removeExtents(session, { partitionIds, nowMs })) === rowsPerStep) return 'more'
  if ((await removeProducers(session, partitionIds)) === rowsPerStep) return 'more'
  if ((await removeOffsets(session, topicId)) === rowsPerStep) return 'more'
  await db
    .deleteFrom('removed_partitions')
    .where('topic_id', '=', topicId)
    .where('partition_id', '<=', partitionIds.at(-1) ?? 0)
    .execute()
  return 'more'
}

async function removeExtents(
  session: Session,
  { partitionIds, nowMs }: { partitionIds: readonly number[]; nowMs: number },
): Promise<number> {
  const { rows } = await sql<{ object_id: string }>`
    delete from extents where (partition_id, base_offset) in (
      select partition_id, base_offset from extents
      where partition_id in (select id from ${idSet(session, partitionIds)} as removed)
      limit ${rowsPerStep}
    )
    returning object_id
  `.execute(session.db)
  await dropReferences(session, { objectIds: rows.map((row) => row.object_id), nowMs })
  return rows.length
}

async function removeProducers(session: Session, partitionIds: readonly number[]): Promise<number> {
  const { rows } = await sql`
    delete from producers where (partition_id, producer_id) in (
      select partition_id, producer_id from producers
      where partition_id in (select id from ${idSet(session, partitionIds)} as removed)
      limit ${rowsPerStep}
    )
    returning producer_id
  `.execute(session.db)
  return rows.length
}

async function removeOffsets({ db }: Session, topicId: string): Promise<number> {
  const { rows } = await sql`
    delete from group_offsets where (group_id, topic_id, partition_index) in (
      select group_id, topic_id, partition_index from group_offsets where topic_id = ${topicId} limit ${rowsPerStep}
    )
    returning partition_index
  `.execute(db)
  return rows.length
}

function idSet({ dialect }: Session, ids: readonly number[]) {
  return rowSet(dialect, ids, { id: ['bigint', (id) => id] })
}
