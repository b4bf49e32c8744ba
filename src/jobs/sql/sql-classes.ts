import { sql, type RawBuilder } from 'kysely'
import { AppError } from '#lib/errors.ts'
import { rowSet } from '#store/sql/row-set.ts'
import type { Database, Dialect } from '#store/sql/schema.ts'
import { inTransaction } from './sql-session.ts'

/** Sets that are remembered here; they are few, and never removed from the database. */
const maxRemembered = 10_000

/** Numbers for sets of needed capabilities. Two tasks that need the same are of one class, whatever the order. */
export class TaskClasses {
  readonly #database: Database
  readonly #ids = new Map<string, number>()

  constructor(database: Database) {
    this.#database = database
  }

  /** Makes those that are new, in a transaction of its own: others may need them at the same time. */
  async idsOf(needs: readonly (readonly string[])[]): Promise<number[]> {
    const keys = needs.map(keyOf)
    const unknown = [...new Set(keys)].filter((key) => !this.#ids.has(key)).toSorted()
    if (unknown.length > 0) await this.#load(unknown)
    return keys.map((key) => {
      const id = this.#ids.get(key)
      if (id === undefined) throw new AppError('INTERNAL', `the class of tasks that need ${key} was not stored`)
      return id
    })
  }

  async #load(keys: readonly string[]): Promise<void> {
    if (this.#ids.size + keys.length > maxRemembered) this.#ids.clear()
    const rows = await inTransaction(this.#database, async ({ db, dialect }) => {
      const wanted = rowSet(dialect, keys, { needs: ['text', (key) => key] })
      await sql`insert into task_classes (needs) select needs from ${wanted} as wanted where true on conflict do nothing`.execute(
        db,
      )
      return (
        await sql<{ id: number; needs: string }>`
          select id, needs from task_classes where needs in (select needs from ${wanted} as wanted)
        `.execute(db)
      ).rows
    })
    for (const { id, needs } of rows) this.#ids.set(needs, id)
  }
}

/** A condition: all that the class `needs` is in `capabilities`; both are columns with JSON arrays. */
export function isCapable(dialect: Dialect, needs: RawBuilder<unknown>, capabilities: RawBuilder<unknown>): RawBuilder<boolean> {
  return dialect === 'postgres'
    ? sql<boolean>`${needs}::jsonb <@ ${capabilities}::jsonb`
    : sql<boolean>`not exists (
        select 1 from json_each(${needs}) as need where need.value not in (select value from json_each(${capabilities}))
      )`
}

function keyOf(needs: readonly string[]): string {
  return JSON.stringify([...new Set(needs)].toSorted())
}
