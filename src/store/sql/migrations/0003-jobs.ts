// Only new tables: an older version that is running goes on.
import { sql, type CreateTableBuilder, type Kysely } from 'kysely'
import type { Dialect, Schema } from '../schema.ts'
import type { Migration } from './migration.ts'

export const jobs: Migration = {
  id: 3,
  name: 'jobs',
  async up(db, dialect) {
    await createJobs(db, dialect)
    await createJobIndexes(db)
    await createTasks(db, dialect)
    await createTaskIndexes(db)
    await createAttempts(db, dialect)
    await createNodes(db, dialect)
    await createRest(db, dialect)
  },
}

async function createJobs(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  const key = keyType(dialect)
  const states = sql.raw(
    `state in ('queued', 'assigned', 'running', 'retrying', 'completed', 'failed', 'timed_out', 'canceled', 'rejected')`,
  )

  await db.schema
    .createTable('jobs')
    .$call((table) => numbered(table, 'sequence', dialect))
    .addColumn('id', key, (column) => column.notNull().unique())
    .addColumn('tenant', key, (column) => column.notNull())
    .addColumn('scenario', key, (column) => column.notNull())
    .addColumn('queue', 'text', (column) => column.notNull())
    .addColumn('priority', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull().check(states))
    .addColumn('generation', 'integer', (column) => column.notNull())
    .addColumn('label', 'text')
    .addColumn('idempotency_key', key)
    .addColumn('error_code', 'text')
    .addColumn('error_message', 'text')
    .addColumn('is_cancel_requested', 'integer', (column) => column.notNull())
    .addColumn('deadline_ms', 'bigint')
    .addColumn('deadline_at_ms', 'bigint')
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('started_at_ms', 'bigint')
    .addColumn('finished_at_ms', 'bigint')
    .addColumn('task_count', 'integer', (column) => column.notNull())
    .addColumn('done_count', 'integer', (column) => column.notNull())
    .addColumn('leased_count', 'integer', (column) => column.notNull())
    .addColumn('frames', 'bigint', (column) => column.notNull())
    .addColumn('total_frames', 'bigint', (column) => column.notNull())
    .addColumn('cleanup', 'text', (column) => column.notNull().defaultTo('none'))
    .addUniqueConstraint('jobs_idempotency', ['tenant', 'idempotency_key'])
    .addCheckConstraint('jobs_counts', sql`0 <= done_count and done_count <= task_count and leased_count >= 0 and frames >= 0`)
    .addCheckConstraint('jobs_waiting', sql`leased_count = 0 or state not in ('queued', 'retrying', 'completed')`)
    .$call((table) => updatedOften(table, dialect))
    .execute()

  await db.schema
    .createTable('job_documents')
    .addColumn('job_id', key, (column) => column.primaryKey().references('jobs.id').onDelete('cascade'))
    .addColumn('input', 'text', (column) => column.notNull())
    .addColumn('plan', 'text')
    .addColumn('result', 'text')
    .execute()
}

async function createJobIndexes(db: Kysely<Schema>): Promise<void> {
  await db.schema.createIndex('jobs_state').on('jobs').columns(['state', 'sequence']).execute()
  await db.schema.createIndex('jobs_tenant').on('jobs').columns(['tenant', 'sequence']).execute()
  const isRunning = sql<boolean>`state in ('queued', 'assigned', 'running', 'retrying')`
  await db.schema.createIndex('jobs_deadline').on('jobs').column('deadline_at_ms').where(isRunning).execute()
  await db.schema
    .createIndex('jobs_finished')
    .on('jobs')
    .column('finished_at_ms')
    .where(sql<boolean>`finished_at_ms is not null`)
    .execute()
  await db.schema
    .createIndex('jobs_uncleaned')
    .on('jobs')
    .column('finished_at_ms')
    .where(sql<boolean>`finished_at_ms is not null and cleanup <> 'done'`)
    .execute()
}

async function createTasks(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  const key = keyType(dialect)

  await db.schema
    .createTable('task_classes')
    .$call((table) => numbered(table, 'id', dialect))
    .addColumn('needs', key, (column) => column.notNull().unique())
    .execute()

  await db.schema
    .createTable('tasks')
    // Ids are never used twice: keys of objects have them.
    .$call((table) => numbered(table, 'id', dialect))
    .addColumn('job_id', key, (column) => column.notNull().references('jobs.id').onDelete('cascade'))
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('rendition', key, (column) => column.notNull())
    .addColumn('chunk', 'integer', (column) => column.notNull())
    .addColumn('class_id', 'bigint', (column) => column.notNull())
    .addColumn('base_rank', 'integer', (column) => column.notNull())
    .addColumn('rank', 'integer', (column) => column.notNull())
    .addColumn('fair_key', 'bigint', (column) => column.notNull())
    .addColumn('cost', 'integer', (column) => column.notNull().check(sql`cost > 0`))
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('blocked', 'ready', 'leased', 'done', 'failed', 'canceled')`),
    )
    .addColumn('is_due', 'integer', (column) => column.notNull())
    .addColumn('deps_left', 'integer', (column) => column.notNull().check(sql`deps_left >= 0`))
    .addColumn('attempt', 'integer', (column) => column.notNull())
    .addColumn('lost_count', 'integer', (column) => column.notNull())
    .addColumn('fence', 'bigint', (column) => column.notNull())
    .addColumn('node_id', key)
    .addColumn('node_epoch', 'bigint')
    .addColumn('held_slots', 'integer', (column) => column.notNull())
    .addColumn('frames', 'bigint', (column) => column.notNull())
    .addColumn('total_frames', 'bigint', (column) => column.notNull())
    .addColumn('speed', 'double precision', (column) => column.notNull())
    .addColumn('run_after_ms', 'bigint', (column) => column.notNull())
    .addColumn('aged_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('leased_at_ms', 'bigint')
    .addColumn('held_at_ms', 'bigint')
    .addColumn('progress_at_ms', 'bigint')
    .addColumn('finished_at_ms', 'bigint')
    .addColumn('output', 'text')
    .addColumn('error_code', 'text')
    .addColumn('error_message', 'text')
    .addUniqueConstraint('tasks_of_job', ['job_id', 'kind', 'rendition', 'chunk'])
    .addCheckConstraint('tasks_leased', sql`(state = 'leased') = (held_slots > 0)`)
    .addCheckConstraint('tasks_ready', sql`state <> 'ready' or deps_left = 0`)
    .addCheckConstraint('tasks_blocked', sql`state <> 'blocked' or deps_left > 0`)
    .$call((table) => hot(table, dialect))
    .execute()

  await db.schema
    .createTable('task_deps')
    .addColumn('parent_id', 'bigint', (column) => column.notNull().references('tasks.id').onDelete('cascade'))
    .addColumn('child_id', 'bigint', (column) => column.notNull().references('tasks.id').onDelete('cascade'))
    .addPrimaryKeyConstraint('task_deps_pk', ['parent_id', 'child_id'])
    .$call((table) => (dialect === 'sqlite' ? table.modifyEnd(sql`without rowid`) : table))
    .execute()
  await db.schema.createIndex('task_deps_child').on('task_deps').column('child_id').execute()
}

/** Partial: they hold what waits and what runs, whatever has been done before. */
async function createTaskIndexes(db: Kysely<Schema>): Promise<void> {
  const index = (name: string) => db.schema.createIndex(name).on('tasks')
  // A claim reads the first of each class that a worker can do; tasks that nobody can do are never in its way.
  await index('tasks_ready')
    .columns(['class_id', 'rank', 'fair_key', 'id'])
    .where(sql<boolean>`state = 'ready' and is_due = 1`)
    .execute()
  await index('tasks_delayed')
    .column('run_after_ms')
    .where(sql<boolean>`state = 'ready' and is_due = 0`)
    .execute()
  await index('tasks_aging')
    .column('aged_at_ms')
    .where(sql<boolean>`state = 'ready' and is_due = 1 and rank > 3`)
    .execute()
  await index('tasks_leased')
    .column('node_id')
    .where(sql<boolean>`state = 'leased'`)
    .execute()
  await index('tasks_in_service')
    .columns(['rank', 'fair_key'])
    .where(sql<boolean>`state = 'leased'`)
    .execute()
}

async function createAttempts(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  await db.schema
    .createTable('attempts')
    .addColumn('task_id', 'bigint', (column) => column.notNull().references('tasks.id').onDelete('cascade'))
    .addColumn('fence', 'bigint', (column) => column.notNull())
    .addColumn('node_id', keyType(dialect), (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('error_code', 'text')
    .addColumn('error_message', 'text')
    .addColumn('started_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('ended_at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('attempts_pk', ['task_id', 'fence'])
    .execute()
}

async function createNodes(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  await db.schema
    .createTable('nodes')
    .addColumn('id', keyType(dialect), (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('roles', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull().check(sql`state in ('active', 'draining', 'lost')`))
    .addColumn('epoch', 'bigint', (column) => column.notNull())
    .addColumn('slots', 'integer', (column) => column.notNull())
    .addColumn('live_reserve', 'integer', (column) => column.notNull())
    .addColumn('used_slots', 'integer', (column) => column.notNull())
    .addColumn('live_slots', 'integer', (column) => column.notNull())
    .addColumn('capabilities', 'text', (column) => column.notNull())
    .addColumn('load', 'text')
    .addColumn('registered_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('seen_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('lease_until_ms', 'bigint', (column) => column.notNull())
    .addCheckConstraint('nodes_slots', sql`0 <= live_slots and live_slots <= used_slots and used_slots <= slots`)
    .$call((table) => updatedOften(table, dialect))
    .execute()
}

async function createRest(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  const key = keyType(dialect)

  await db.schema
    .createTable('fair_shares')
    .addColumn('tenant', key, (column) => column.notNull())
    .addColumn('rank', 'integer', (column) => column.notNull())
    .addColumn('finish', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('fair_shares_pk', ['tenant', 'rank'])
    .$call((table) => updatedOften(table, dialect))
    .execute()

  await db.schema
    .createTable('duties')
    .addColumn('name', key, (column) => column.primaryKey())
    .addColumn('holder', 'text', (column) => column.notNull())
    .addColumn('term', 'bigint', (column) => column.notNull())
    .addColumn('expires_at_ms', 'bigint', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('scenarios')
    .addColumn('name', key, (column) => column.primaryKey())
    .addColumn('spec', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('updated_at_ms', 'bigint', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('job_log_lines')
    .$call((table) => numbered(table, 'id', dialect))
    // Without a foreign key: the last lines of a job may come when it is gone.
    .addColumn('job_id', key, (column) => column.notNull())
    .addColumn('task_id', 'bigint', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('level', 'text', (column) => column.notNull())
    .addColumn('text', 'text', (column) => column.notNull())
    .execute()
  await db.schema.createIndex('job_log_lines_job').on('job_log_lines').columns(['job_id', 'id']).execute()
}

/** A primary key that the database counts up, never giving a number twice. */
function numbered<T extends string, C extends string, N extends string>(
  table: CreateTableBuilder<T, C>,
  name: N,
  dialect: Dialect,
): CreateTableBuilder<T, C | N> {
  return dialect === 'postgres'
    ? table.addColumn(name, 'bigint', (column) => column.generatedAlwaysAsIdentity().primaryKey())
    : table.addColumn(name, 'integer', (column) => column.primaryKey().autoIncrement())
}

/** Keys compare by bytes on both databases. */
function keyType(dialect: Dialect) {
  return dialect === 'postgres' ? sql`text collate "C"` : sql`text collate binary`
}

/** PostgreSQL: room in each page for the next version of its rows, and a vacuum that comes after 2 % of changes and not 20 %. */
function updatedOften<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
  dialect: Dialect,
): CreateTableBuilder<T, C> {
  if (dialect === 'sqlite') return table
  return table.modifyEnd(sql`with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02)`)
}

/** PostgreSQL: each task leaves a few dead entries at the front of `tasks_ready`, which every claim steps over until a vacuum removes them. */
function hot<T extends string, C extends string>(table: CreateTableBuilder<T, C>, dialect: Dialect): CreateTableBuilder<T, C> {
  if (dialect === 'sqlite') return table
  return table.modifyEnd(
    sql`with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05)`,
  )
}
