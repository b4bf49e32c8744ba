// Only new columns with defaults, and indexes: an older version that is running goes on.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const recordingArchive: Migration = {
  id: 4,
  name: 'recording-archive',
  async up(db) {
    await db.schema.alterTable('recording_segments').addColumn('archived_at_ms', 'bigint').execute()
    await db.schema
      .alterTable('recording_segments')
      .addColumn('is_on_disk', 'integer', (column) =>
        // A recording that is nowhere has no row.
        column
          .notNull()
          .defaultTo(1)
          .check(sql`is_on_disk = 1 or archived_at_ms is not null`),
      )
      .execute()

    // Partial: what is asked of files on the disk, and of those that wait, costs the same however large the archive is.
    const index = (name: string) => db.schema.createIndex(name).on('recording_segments')
    await index('recording_segments_disk_started')
      .column('started_at_ms')
      .where(sql<boolean>`is_on_disk = 1`)
      .execute()
    await index('recording_segments_disk_stream')
      .columns(['stream', 'started_at_ms'])
      .where(sql<boolean>`is_on_disk = 1`)
      .execute()
    await index('recording_segments_unarchived')
      .columns(['stream', 'started_at_ms'])
      .where(sql<boolean>`archived_at_ms is null`)
      .execute()
    await index('recording_segments_archived')
      .columns(['stream', 'ended_at_ms'])
      .where(sql<boolean>`archived_at_ms is not null`)
      .execute()
  },
}
