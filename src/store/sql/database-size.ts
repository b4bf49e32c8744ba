import { sql } from 'kysely'
import type { Database } from './schema.ts'

/** What the database takes on its disk, in bytes, without its write-ahead log. */
export async function loadDatabaseBytes({ db, dialect }: Pick<Database, 'db' | 'dialect'>): Promise<number> {
  const size =
    dialect === 'postgres'
      ? sql<{ bytes: number }>`select pg_database_size(current_database()) as bytes`
      : sql<{ bytes: number }>`select page_count * page_size as bytes from pragma_page_count(), pragma_page_size()`
  const { rows } = await size.execute(db)
  return rows[0]?.bytes ?? 0
}
