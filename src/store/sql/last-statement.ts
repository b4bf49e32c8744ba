import type { CompiledQuery, Kysely, QueryResult, RawBuilder } from 'kysely'
import type { Schema } from './schema.ts'

type LastQuery<Row = unknown> = CompiledQuery<Row> & { readonly isLast: true }

/**
 * The last statement of a transaction, behind which nothing may follow. PostgreSQL gets the commit with it, so that locks do not wait for this process to take a
 * breath; SQLite commits as always.
 */
export async function executeLast<Row>(db: Kysely<Schema>, statement: RawBuilder<Row>): Promise<QueryResult<Row>> {
  const query: LastQuery<Row> = { ...statement.compile(db), isLast: true }
  return await db.executeQuery(query)
}

export function isLastQuery(query: CompiledQuery): boolean {
  return 'isLast' in query
}
