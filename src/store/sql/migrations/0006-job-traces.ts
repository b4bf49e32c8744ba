// Only a new column that may be null: an older version that is running goes on.
import type { Migration } from './migration.ts'

export const jobTraces: Migration = {
  id: 6,
  name: 'job-traces',
  async up(db) {
    await db.schema.alterTable('jobs').addColumn('traceparent', 'text').execute()
  },
}
