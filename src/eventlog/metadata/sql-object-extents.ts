import { sql, type Selectable } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { ExtentsTable } from '#store/sql/schema-event-log.ts'
import type { Database } from '#store/sql/schema.ts'
import type { ObjectExtents } from '../objects/verify.ts'
import { toExtent } from './sql-extents.ts'

/**
 * Extents by the object that they are in. There is no index for it, which every commit would have to keep: each call goes through all extents, so it is for
 * verification, and for many objects at once.
 */
export function sqlObjectExtents({ db, dialect }: Database): ObjectExtents {
  return {
    async extentsOfObjects(objectIds) {
      const wanted = rowSet(dialect, objectIds, { id: ['text', (id) => id] })
      const { rows } = await sql<Selectable<ExtentsTable> & { object_key: string }>`
        select extents.*, log_objects.object_key
        from extents join log_objects on log_objects.id = extents.object_id
        where extents.object_id in (select id from ${wanted} as wanted)
        order by extents.object_id, extents.position_bytes
      `.execute(db)
      return rows.map(toExtent)
    },
  }
}
