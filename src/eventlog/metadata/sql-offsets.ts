import { setImmediate as nextTurn } from 'node:timers/promises'
import { sql, type Kysely } from 'kysely'
import { rowLock, rowSet } from '#store/sql/row-set.ts'
import type { Database, Schema } from '#store/sql/schema.ts'
import type { OffsetRow } from './log-metadata.ts'
import { inTransaction, type Session } from './sql-session.ts'

/** Of two rows for one partition the later counts. Rows of topics that are deleted are left out. */
export async function commitOffsets(database: Database, commits: readonly OffsetRow[]): Promise<void> {
  const latest = new Map(commits.map((commit) => [`${commit.topicId}/${commit.partition}/${commit.groupId}`, commit]))
  if (latest.size === 0) return
  await inTransaction(database, async (session) => {
    const { db, dialect } = session
    await lockTopics(session, new Set(commits.map((commit) => commit.topicId)))
    const rows = rowSet(dialect, [...latest.values()], {
      group_id: ['text', (commit) => commit.groupId],
      topic_id: ['text', (commit) => commit.topicId],
      partition_index: ['bigint', (commit) => commit.partition],
      committed_offset: ['bigint', (commit) => commit.offset],
      leader_epoch: ['bigint', (commit) => commit.leaderEpoch],
      metadata: ['bytea', (commit) => Buffer.from(commit.metadata)],
      committed_at_ms: ['bigint', (commit) => commit.committedAtMs],
    })
    // In order of the key, so that two of these wait for each other in the same order.
    await sql`
      insert into group_offsets
        (group_id, topic_id, partition_index, committed_offset, leader_epoch, metadata, committed_at_ms)
      select group_id, topic_id, partition_index, committed_offset, leader_epoch, metadata, committed_at_ms
      from ${rows} as latest
      where topic_id in (select id from topics)
      order by group_id, topic_id, partition_index
      on conflict (group_id, topic_id, partition_index) do update set
        committed_offset = excluded.committed_offset, leader_epoch = excluded.leader_epoch,
        metadata = excluded.metadata, committed_at_ms = excluded.committed_at_ms
    `.execute(db)
  })
}

/** Keeps the topics from being deleted until the transaction ends: offsets that came after the removal would stay. */
async function lockTopics({ db, dialect }: Session, topicIds: ReadonlySet<string>): Promise<void> {
  const wanted = rowSet(dialect, [...topicIds], { id: ['text', (id) => id] })
  const lock = rowLock(dialect, 'for share')
  await sql`select id from topics where id in (select id from ${wanted} as wanted) order by id ${lock}`.execute(db)
}

export async function loadOffsets(db: Kysely<Schema>, groupId: string): Promise<OffsetRow[]> {
  const rows = await db
    .selectFrom('group_offsets')
    .selectAll('group_offsets')
    // Those of a topic whose deletion is still going on are hidden.
    .innerJoin('topics', 'topics.id', 'group_offsets.topic_id')
    .where('group_id', '=', groupId)
    .orderBy('topic_id')
    .orderBy('partition_index')
    .execute()
  return rows.map((row) => ({
    groupId: row.group_id,
    topicId: row.topic_id,
    partition: row.partition_index,
    offset: row.committed_offset,
    leaderEpoch: row.leader_epoch,
    metadata: new TextDecoder().decode(row.metadata),
    committedAtMs: row.committed_at_ms,
  }))
}

export async function deleteOffsets(
  { db, dialect }: Session,
  { groupId, partitions }: { groupId: string; partitions: readonly { topicId: string; partition: number }[] },
): Promise<void> {
  const gone = rowSet(dialect, partitions, {
    topic_id: ['text', ({ topicId }) => topicId],
    partition_index: ['bigint', ({ partition }) => partition],
  })
  await sql`
    delete from group_offsets
    where group_id = ${groupId} and (topic_id, partition_index) in (select topic_id, partition_index from ${gone} as gone)
  `.execute(db)
}

/** Group by group. A group that lost its last member since then keeps its offsets too (KIP-211). */
export async function expireOffsets(db: Kysely<Schema>, { committedBeforeMs }: { committedBeforeMs: number }): Promise<number> {
  const isExpired = sql<boolean>`committed_at_ms < ${committedBeforeMs} and not exists (
    select 1 from consumer_groups
    where id = group_offsets.group_id and (member_count > 0 or updated_at_ms >= ${committedBeforeMs})
  )`
  const groups = await db.selectFrom('group_offsets').select('group_id').distinct().where(isExpired).execute()
  let count = 0
  for (const { group_id } of groups) {
    const deleted = await db.deleteFrom('group_offsets').where('group_id', '=', group_id).where(isExpired).executeTakeFirst()
    count += Number(deleted.numDeletedRows)
    await nextTurn()
  }
  return count
}
