import type { Kysely } from 'kysely'
import type { Dialect, Schema } from '../schema.ts'

/**
 * One step forward of the schema. Steps run in order, each once, inside one transaction; they are never edited after a release.
 * `db` has the types of the newest schema: a step that touches rows names its own with `db.withTables<…>()`.
 */
export type Migration = {
  readonly id: number
  readonly name: string
  readonly up: (db: Kysely<Schema>, dialect: Dialect) => Promise<void>
}
