// Only new tables: an older version that is running goes on.
import { sql, type CreateTableBuilder, type Kysely } from 'kysely'
import type { Dialect, Schema } from '../schema.ts'
import type { Migration } from './migration.ts'

export const eventLog: Migration = {
  id: 2,
  name: 'event-log',
  async up(db, dialect) {
    await createTopics(db, dialect)
    await createObjects(db, dialect)
    await createProducers(db, dialect)
    await createGroups(db, dialect)
    await createAccess(db, dialect)
  },
}

async function createTopics(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  const key = keyType(dialect)

  await db.schema
    .createTable('log_agents')
    .addColumn('id', key, (column) => column.primaryKey())
    .addColumn('wal_id', key, (column) => column.notNull().unique())
    .addColumn('epoch', 'bigint', (column) => column.notNull())
    .addColumn('registered_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('renewed_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('is_confirmed', 'integer', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('topics')
    .addColumn('id', key, (column) => column.primaryKey())
    .addColumn('name', key, (column) => column.notNull().unique())
    .addColumn('config', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('partitions')
    // Ids are never used twice, also not after a delete: a write-ahead log may still hold entries of the partition that is gone.
    .$call((table) =>
      dialect === 'postgres'
        ? table.addColumn('id', 'bigint', (column) => column.generatedAlwaysAsIdentity().primaryKey())
        : table.addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement()),
    )
    .addColumn('topic_id', key, (column) => column.notNull().references('topics.id'))
    .addColumn('partition_index', 'integer', (column) => column.notNull().check(sql`partition_index >= 0`))
    .addColumn('owner', key, (column) => column.references('log_agents.id'))
    .addColumn('epoch', 'bigint', (column) => column.notNull())
    .addColumn('dirty_wal', key)
    .addColumn('offset_ceiling', 'bigint', (column) => column.notNull())
    .addColumn('next_offset', 'bigint', (column) => column.notNull())
    .addColumn('log_start', 'bigint', (column) => column.notNull())
    .addColumn('size_bytes', 'bigint', (column) => column.notNull().check(sql`size_bytes >= 0`))
    .addUniqueConstraint('partitions_topic_index', ['topic_id', 'partition_index'])
    .addCheckConstraint('partitions_offsets', sql`0 <= log_start and log_start <= next_offset`)
    .$call((table) => updatedOften(table, dialect))
    .execute()

  await db.schema
    .createTable('removed_partitions')
    .addColumn('topic_id', key, (column) => column.notNull())
    .addColumn('partition_id', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('removed_partitions_pk', ['topic_id', 'partition_id'])
    .execute()
}

async function createObjects(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  const key = keyType(dialect)

  await db.schema
    .createTable('log_objects')
    .addColumn('id', key, (column) => column.primaryKey())
    .addColumn('object_key', key, (column) => column.notNull().unique())
    .addColumn('agent_id', key, (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull().check(sql`state in ('reserved', 'committed', 'deleting')`))
    .addColumn('size_bytes', 'bigint', (column) => column.notNull())
    .addColumn('live_refs', 'integer', (column) => column.notNull().check(sql`live_refs >= 0`))
    .addColumn('verdicts', 'text')
    .addColumn('reserved_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('committed_at_ms', 'bigint')
    .addColumn('deleting_at_ms', 'bigint')
    // An object is deleted when no extent refers to it, and not before.
    .addCheckConstraint('log_objects_refs', sql`(state = 'committed') = (live_refs > 0)`)
    .addCheckConstraint('log_objects_committed', sql`(verdicts is null) = (committed_at_ms is null)`)
    .addCheckConstraint('log_objects_reserved', sql`state <> 'reserved' or verdicts is null`)
    .addCheckConstraint('log_objects_deleting', sql`(state = 'deleting') = (deleting_at_ms is not null)`)
    .execute()
  await db.schema
    .createIndex('log_objects_reserved_at')
    .on('log_objects')
    .column('reserved_at_ms')
    .where(sql<boolean>`state = 'reserved'`)
    .execute()
  await db.schema
    .createIndex('log_objects_deleting_at')
    .on('log_objects')
    .column('deleting_at_ms')
    .where(sql<boolean>`state = 'deleting'`)
    .execute()

  await db.schema
    .createTable('extents')
    // Not clustered on SQLite: the extents of an object come one to a partition, so that each would dirty a page of its own (5,000 runs: 33 ms in
    // place of 18, and 25 ms to commit in place of 11). Without foreign keys: whoever adds or removes extents has locked the rows of partition and
    // object, and PostgreSQL would take 8 µs a row to look again.
    .addColumn('partition_id', 'bigint', (column) => column.notNull())
    .addColumn('base_offset', 'bigint', (column) => column.notNull())
    .addColumn('last_offset', 'bigint', (column) => column.notNull())
    .addColumn('object_id', key, (column) => column.notNull())
    .addColumn('position_bytes', 'bigint', (column) => column.notNull())
    .addColumn('length_bytes', 'bigint', (column) => column.notNull())
    .addColumn('min_timestamp_ms', 'bigint', (column) => column.notNull())
    .addColumn('max_timestamp_ms', 'bigint', (column) => column.notNull())
    .addColumn('batch_count', 'integer', (column) => column.notNull())
    .addColumn('sparse', bytesType(dialect), (column) => column.notNull())
    .addPrimaryKeyConstraint('extents_pk', ['partition_id', 'base_offset'])
    .addCheckConstraint('extents_offsets', sql`0 <= base_offset and base_offset <= last_offset`)
    .addCheckConstraint('extents_bytes', sql`position_bytes >= 0 and length_bytes > 0`)
    .execute()
}

async function createProducers(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  await db.schema
    .createTable('producers')
    .addColumn('partition_id', 'bigint', (column) => column.notNull())
    .addColumn('producer_id', 'bigint', (column) => column.notNull().check(sql`producer_id >= 0`))
    .addColumn('producer_epoch', 'integer', (column) => column.notNull())
    .addColumn('batches', bytesType(dialect), (column) => column.notNull())
    .addColumn('updated_at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('producers_pk', ['partition_id', 'producer_id'])
    .$call((table) => keyedAndUpdatedOften(table, dialect))
    .execute()

  await db.schema
    .createTable('log_counters')
    .addColumn('name', keyType(dialect), (column) => column.primaryKey())
    .addColumn('next_value', 'bigint', (column) => column.notNull())
    .execute()
  await sql`insert into log_counters (name, next_value) values ('producer-id', 1)`.execute(db)
}

async function createGroups(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  const key = keyType(dialect)

  await db.schema
    .createTable('consumer_groups')
    .addColumn('id', key, (column) => column.primaryKey())
    .addColumn('generation', 'integer', (column) => column.notNull())
    .addColumn('protocol_type', 'text', (column) => column.notNull())
    .addColumn('protocol', 'text')
    .addColumn('leader', 'text')
    .addColumn('members', 'text', (column) => column.notNull())
    .addColumn('member_count', 'integer', (column) => column.notNull())
    .addColumn('updated_at_ms', 'bigint', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('group_offsets')
    .addColumn('group_id', key, (column) => column.notNull())
    .addColumn('topic_id', key, (column) => column.notNull())
    .addColumn('partition_index', 'integer', (column) => column.notNull())
    .addColumn('committed_offset', 'bigint', (column) => column.notNull())
    .addColumn('leader_epoch', 'integer', (column) => column.notNull())
    // Bytes: clients may put anything in, and PostgreSQL's text has no zero character.
    .addColumn('metadata', bytesType(dialect), (column) => column.notNull())
    .addColumn('committed_at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('group_offsets_pk', ['group_id', 'topic_id', 'partition_index'])
    .$call((table) => keyedAndUpdatedOften(table, dialect))
    .execute()
  await db.schema.createIndex('group_offsets_topic').on('group_offsets').column('topic_id').execute()
}

async function createAccess(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  const key = keyType(dialect)
  const columns = ['resource_type', 'resource_name', 'pattern_type', 'principal', 'host', 'operation', 'permission'] as const
  await columns
    .reduce(
      (table: CreateTableBuilder<'acls', (typeof columns)[number]>, name) =>
        table.addColumn(name, key, (column) => column.notNull()),
      db.schema.createTable('acls'),
    )
    .addPrimaryKeyConstraint('acls_pk', [...columns])
    .execute()

  await db.schema
    .createTable('scram_credentials')
    .addColumn('user_name', key, (column) => column.notNull())
    .addColumn('mechanism', key, (column) => column.notNull())
    .addColumn('salt', bytesType(dialect), (column) => column.notNull())
    .addColumn('stored_key', bytesType(dialect), (column) => column.notNull())
    .addColumn('server_key', bytesType(dialect), (column) => column.notNull())
    .addColumn('iterations', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('scram_credentials_pk', ['user_name', 'mechanism'])
    .execute()
}

/** Keys compare by bytes on both databases. */
function keyType(dialect: Dialect) {
  return dialect === 'postgres' ? sql`text collate "C"` : sql`text collate binary`
}

function bytesType(dialect: Dialect) {
  return dialect === 'postgres' ? sql`bytea` : sql`blob`
}

/** SQLite: rows lie in the tree of their primary key, one tree in place of two. */
function keyedAndUpdatedOften<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
  dialect: Dialect,
): CreateTableBuilder<T, C> {
  return dialect === 'sqlite' ? table.modifyEnd(sql`without rowid`) : updatedOften(table, dialect)
}

/** PostgreSQL: room in each page for the next version of its rows, and a vacuum that comes after 2 % of changes and not 20 %. */
function updatedOften<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
  dialect: Dialect,
): CreateTableBuilder<T, C> {
  if (dialect === 'sqlite') return table
  return table.modifyEnd(sql`with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02)`)
}
