import { sql, type Kysely } from 'kysely'
import { rowLock, rowSet } from '#store/sql/row-set.ts'
import type { Schema } from '#store/sql/schema.ts'
import type { ObjectRow } from './log-metadata.ts'
import type { Session } from './sql-session.ts'

export async function reserveObjects(
  { db, dialect }: Session,
  { agentId, objects, nowMs }: { agentId: string; objects: readonly { id: string; key: string }[]; nowMs: number },
): Promise<void> {
  const reserved = rowSet(dialect, objects, { id: ['text', ({ id }) => id], object_key: ['text', ({ key }) => key] })
  await sql`
    insert into log_objects (id, object_key, agent_id, state, size_bytes, live_refs, reserved_at_ms)
    select id, object_key, ${agentId}, 'reserved', 0, 0, ${nowMs} from ${reserved} as reserved
    where true on conflict (id) do nothing
  `.execute(db)
}

/**
 * Takes note of extents that were deleted, one object id for each; an object without any is deletable from `nowMs` on. In a transaction that holds the
 * locks of the partitions.
 */
export async function dropReferences(
  { db, dialect }: Session,
  { objectIds, nowMs }: { objectIds: readonly string[]; nowMs: number },
): Promise<void> {
  if (objectIds.length === 0) return
  const counts = Map.groupBy(objectIds, (id) => id)
  const dropped = rowSet(dialect, [...counts], { object_id: ['text', ([id]) => id], lost: ['bigint', ([, all]) => all.length] })
  const lock = rowLock(dialect, 'for update')
  await sql`select id from log_objects where id in (select object_id from ${dropped} as dropped) order by id ${lock}`.execute(db)
  await sql`
    update log_objects
    set live_refs = live_refs - lost,
      state = case when live_refs = lost then 'deleting' else state end,
      deleting_at_ms = case when live_refs = lost then cast(${nowMs} as bigint) end
    from ${dropped} as dropped
    where log_objects.id = dropped.object_id
  `.execute(db)
}

/** Objects that are being committed right now are left alone. */
export async function abandonObjects(
  { db, dialect }: Session,
  { reservedBeforeMs, nowMs, limit }: { reservedBeforeMs: number; nowMs: number; limit: number },
): Promise<number> {
  const { rows } = await sql`
    update log_objects set state = 'deleting', deleting_at_ms = ${nowMs}
    where id in (
      select id from log_objects where state = 'reserved' and reserved_at_ms < ${reservedBeforeMs}
      order by reserved_at_ms limit ${limit} ${rowLock(dialect, 'for update skip locked')}
    )
    returning id
  `.execute(db)
  return rows.length
}

export async function findDeletable(
  db: Kysely<Schema>,
  { deletingBeforeMs, limit }: { deletingBeforeMs: number; limit: number },
): Promise<{ id: string; key: string; sizeBytes: number }[]> {
  const { rows } = await sql<{ id: string; key: string; sizeBytes: number }>`
    select id, object_key as "key", size_bytes as "sizeBytes" from log_objects
    where state = 'deleting' and deleting_at_ms < ${deletingBeforeMs}
    order by deleting_at_ms limit ${limit}
  `.execute(db)
  return rows
}

export async function forgetObjects({ db, dialect }: Session, ids: readonly string[]): Promise<void> {
  const gone = rowSet(dialect, ids, { id: ['text', (id) => id] })
  await sql`delete from log_objects where state = 'deleting' and id in (select id from ${gone} as gone)`.execute(db)
}

export async function listObjects(db: Kysely<Schema>, { after, limit }: { after: string; limit: number }): Promise<ObjectRow[]> {
  const { rows } = await sql<ObjectRow>`
    select id, object_key as "key", size_bytes as "sizeBytes", committed_at_ms as "committedAtMs" from log_objects
    where state = 'committed' and id > ${after}
    order by id limit ${limit}
  `.execute(db)
  return rows
}
