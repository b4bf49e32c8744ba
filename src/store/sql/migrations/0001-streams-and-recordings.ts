// The first migration: no older version is running.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const streamsAndRecordings: Migration = {
  id: 1,
  name: 'streams-and-recordings',
  async up(db, dialect) {
    // Keys compare by bytes on both databases: PostgreSQL would else follow its locale, and pages by cursor would differ.
    const key = dialect === 'postgres' ? sql`text collate "C"` : sql`text collate binary`

    await db.schema
      .createTable('streams')
      .addColumn('name', key, (column) => column.primaryKey())
      .addColumn('spec', 'text', (column) => column.notNull())
      .addColumn('is_enabled', 'integer')
      .addColumn('recording', 'text')
      .addColumn('is_declared', 'integer', (column) => column.notNull())
      .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
      .addColumn('updated_at_ms', 'bigint', (column) => column.notNull())
      .execute()

    await db.schema
      .createTable('recording_segments')
      .addColumn('id', key, (column) => column.primaryKey())
      .addColumn('stream', key, (column) => column.notNull())
      .addColumn('session_id', key, (column) => column.notNull())
      .addColumn('path', key, (column) => column.notNull().unique())
      .addColumn('started_at_ms', 'bigint', (column) => column.notNull())
      .addColumn('ended_at_ms', 'bigint')
      .addColumn('duration_ms', 'bigint', (column) => column.notNull())
      .addColumn('size_bytes', 'bigint', (column) => column.notNull())
      .addColumn('init_size_bytes', 'bigint', (column) => column.notNull())
      .addColumn('is_discontinuity', 'integer', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull().check(sql`state in ('open', 'closed')`))
      .execute()

    await db.schema
      .createIndex('recording_segments_stream_started')
      .on('recording_segments')
      .columns(['stream', 'started_at_ms'])
      .execute()
    await db.schema.createIndex('recording_segments_started').on('recording_segments').column('started_at_ms').execute()
  },
}
