// Only a new table: an older version that is running goes on.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const apiKeys: Migration = {
  id: 5,
  name: 'api-keys',
  async up(db, dialect) {
    const key = dialect === 'postgres' ? sql`text collate "C"` : sql`text collate binary`

    await db.schema
      .createTable('api_keys')
      .addColumn('id', key, (column) => column.primaryKey())
      .addColumn('name', key, (column) => column.notNull())
      .addColumn('is_admin', 'integer', (column) => column.notNull())
      .addColumn('publish_patterns', 'text', (column) => column.notNull())
      .addColumn('read_patterns', 'text', (column) => column.notNull())
      .addColumn('secret_hash', 'text', (column) => column.notNull())
      .addColumn('previous_hash', 'text')
      .addColumn('previous_until_ms', 'bigint')
      .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
      .addColumn('rotated_at_ms', 'bigint')
      .addColumn('expires_at_ms', 'bigint')
      .addColumn('last_used_at_ms', 'bigint')
      .addColumn('revoked_at_ms', 'bigint')
      .addCheckConstraint('api_keys_previous', sql`(previous_hash is null) = (previous_until_ms is null)`)
      .execute()

    // A name is free again when its key was revoked.
    await db.schema
      .createIndex('api_keys_name')
      .unique()
      .on('api_keys')
      .column('name')
      .where(sql<boolean>`revoked_at_ms is null`)
      .execute()
    await db.schema
      .createIndex('api_keys_revoked')
      .on('api_keys')
      .column('revoked_at_ms')
      .where(sql<boolean>`revoked_at_ms is not null`)
      .execute()
  },
}
