import { sql, type Kysely, type Selectable } from 'kysely'
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import { rowLock, rowSet } from '#store/sql/row-set.ts'
import type { PartitionsTable } from '#store/sql/schema-event-log.ts'
import type { Database, Schema } from '#store/sql/schema.ts'
import { topicConfigSchema, type TopicConfig } from '../topic-config.ts'
import type { PartitionRow, TopicRow } from './log-metadata.ts'
import { toPartition } from './sql-partitions.ts'
import { finishRemoval } from './sql-removal.ts'
import { inTransaction, type Session } from './sql-session.ts'

type NewTopic = { id: string; name: string; config: TopicConfig; partitionCount: number; nowMs: number }

/** By name. */
export async function loadTopics(db: Kysely<Schema>): Promise<TopicRow[]> {
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (transaction) => {
      const topics = await transaction.selectFrom('topics').selectAll().orderBy('name').execute()
      const rows = await transaction.selectFrom('partitions').selectAll().orderBy('partition_index').execute()
      const partitions = Map.groupBy(rows.map(toPartition), ({ topicId }) => topicId)
      return topics.map((topic) => toTopic(topic, partitions.get(topic.id) ?? []))
    })
}

/** Repeated with the same id, it gives the topic of the first time. */
export async function createTopic(database: Database, topic: NewTopic): Promise<TopicRow> {
  const { id, name, config, partitionCount, nowMs } = topic
  const row = { id, name, config: JSON.stringify(config), created_at_ms: nowMs }
  return await inTransaction(database, async (session) => {
    const inserted = await session.db
      .insertInto('topics')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .execute()
    if (inserted.length > 0) return toTopic(row, await insertPartitions(session, { id, from: 0, total: partitionCount }))
    const same = await session.db
      .selectFrom('topics')
      .selectAll()
      .where('id', '=', id)
      .where('name', '=', name)
      .executeTakeFirst()
    if (!same) throw new AppError('TOPIC_EXISTS', `topic "${name}" exists already; take another name or delete it first`)
    const partitions = await session.db
      .selectFrom('partitions')
      .selectAll()
      .where('topic_id', '=', id)
      .orderBy('partition_index')
      .execute()
    return toTopic(same, partitions.map(toPartition))
  })
}

export async function configureTopic(db: Kysely<Schema>, { id, config }: { id: string; config: TopicConfig }): Promise<void> {
  const updated = await db
    .updateTable('topics')
    .set({ config: JSON.stringify(config) })
    .where('id', '=', id)
    .returning('id')
    .execute()
  if (updated.length === 0) throw topicNotFound(id)
}

/** The partitions that are new. */
export async function addPartitions(database: Database, { id, total }: { id: string; total: number }): Promise<PartitionRow[]> {
  return await inTransaction(database, async (session) => {
    if (!(await lockTopic(session, id))) throw topicNotFound(id)
    const { count } = await session.db
      .selectFrom('partitions')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('topic_id', '=', id)
      .executeTakeFirstOrThrow()
    if (total > count) return await insertPartitions(session, { id, from: count, total })
    throw new AppError('TOPIC_INVALID', `the topic has ${count} partitions; ask for more than that, they cannot be taken away`)
  })
}

/**
 * The topic and its partitions go at once, so that nothing can be committed to them any more; then, in steps, all that hangs on the partitions. When
 * that is broken off, a repeat goes on with it, and so does `abandonObjects`.
 */
export async function deleteTopic(database: Database, { id, nowMs }: { id: string; nowMs: number }): Promise<boolean> {
  const isDeleted = await inTransaction(database, async (session) => {
    const { db, dialect } = session
    if (!(await lockTopic(session, id))) return false
    const lock = rowLock(dialect, 'for update')
    await sql`select id from partitions where topic_id = ${id} order by id ${lock}`.execute(db)
    await sql`
      insert into removed_partitions (topic_id, partition_id) select topic_id, id from partitions where topic_id = ${id}
    `.execute(db)
    await db.deleteFrom('partitions').where('topic_id', '=', id).execute()
    await db.deleteFrom('topics').where('id', '=', id).execute()
    return true
  })
  await finishRemoval(database, { topicId: id, nowMs })
  return isDeleted
}

async function lockTopic({ db, dialect }: Session, id: string): Promise<boolean> {
  const { rows } = await sql`select id from topics where id = ${id} ${rowLock(dialect, 'for update')}`.execute(db)
  return rows.length > 0
}

async function insertPartitions(
  { db, dialect }: Session,
  { id, from, total }: { id: string; from: number; total: number },
): Promise<PartitionRow[]> {
  const indexes = Array.from({ length: total - from }, (_, at) => from + at)
  const added = rowSet(dialect, indexes, { partition_index: ['bigint', (index) => index] })
  const { rows } = await sql<Selectable<PartitionsTable>>`
    insert into partitions (topic_id, partition_index, epoch, offset_ceiling, next_offset, log_start, size_bytes)
    select ${id}, partition_index, 0, 0, 0, 0, 0 from ${added} as added order by partition_index
    returning *
  `.execute(db)
  return rows.map(toPartition).toSorted((one, other) => one.index - other.index)
}

function toTopic(
  { id, name, config, created_at_ms }: { id: string; name: string; config: string; created_at_ms: number },
  partitions: readonly PartitionRow[],
): TopicRow {
  return { id, name, config: parseConfig(name, config), createdAtMs: created_at_ms, partitions }
}

/** Settings that are new since it was stored have their defaults; those that only a newer version knows are left out. */
function parseConfig(name: string, json: string): TopicConfig {
  const config = Value.Default(topicConfigSchema, Value.Clean(topicConfigSchema, JSON.parse(json)))
  if (Value.Check(topicConfigSchema, config)) return config
  const [first] = Value.Errors(topicConfigSchema, config)
  throw new AppError(
    'LOG_DAMAGED',
    `the stored settings of topic "${name}" cannot be read: ${first?.instancePath ?? ''} ${first?.message ?? ''}; correct them in the table "topics"`,
  )
}

function topicNotFound(id: string): AppError {
  return new AppError('TOPIC_NOT_FOUND', `no topic has the id ${id}; it may have been deleted, load the topics again`)
}
