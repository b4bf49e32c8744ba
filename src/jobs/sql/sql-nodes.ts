import { sql, type Kysely } from 'kysely'
import type { Schema } from '#store/sql/schema.ts'
import type { Effects, NewNode } from '../job-store.ts'
import type { NodeRow } from '../model.ts'
import type { Fleet } from './sql-fleet.ts'
import { endLostAttempts } from './sql-lost.ts'
import { cleanText, toNode } from './sql-rows.ts'
import { inTransaction, loadNowMs } from './sql-session.ts'

/** Another epoch for the node, and its slots free; what the process before had is lost to it. A node that was draining goes on to, until it is lost. */
export async function registerNode(fleet: Fleet, node: NewNode): Promise<{ readonly epoch: number } & Effects> {
  return await inTransaction(fleet.database, async (session) => {
    const { db } = session
    const now = await loadNowMs(session)
    const facts = {
      name: cleanText(node.name),
      version: cleanText(node.version),
      roles: JSON.stringify(node.roles),
      slots: node.slots,
      live_reserve: node.liveReserve,
      used_slots: 0,
      live_slots: 0,
      capabilities: JSON.stringify([...new Set(node.capabilities)].map(cleanText)),
      load: null,
      registered_at_ms: now,
      seen_at_ms: now,
      lease_until_ms: now + node.leaseMs,
    }
    const { epoch } = await db
      .insertInto('nodes')
      .values({ id: node.id, state: 'active', epoch: 1, ...facts })
      .onConflict((conflict) =>
        conflict.column('id').doUpdateSet(({ eb }) => ({
          ...facts,
          epoch: eb('nodes.epoch', '+', 1),
          state: sql`case nodes.state when 'draining' then 'draining' else 'active' end`,
        })),
      )
      .returning('epoch')
      .executeTakeFirstOrThrow()
    const held = await db.selectFrom('tasks').select('id').where('state', '=', 'leased').where('node_id', '=', node.id).execute()
    const ids = held.map(({ id }) => id)
    const effects = await endLostAttempts(session, { fleet, now, nodeIds: [node.id], taskIds: ids, isEnded: () => 'lost' })
    return { epoch, changes: effects.changes, readyCount: effects.readyCount }
  })
}

export async function listNodes(db: Kysely<Schema>): Promise<NodeRow[]> {
  return (await db.selectFrom('nodes').selectAll().orderBy('id').execute()).map(toNode)
}

/** A node that is lost stays so: only its worker brings it back. */
export async function setNodeState(db: Kysely<Schema>, id: string, state: 'active' | 'draining'): Promise<NodeRow | undefined> {
  await db.updateTable('nodes').set({ state }).where('id', '=', id).where('state', '<>', 'lost').execute()
  const row = await db.selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toNode(row)
}

export async function removeNode({ database }: Fleet, id: string): Promise<boolean> {
  const removed = await database.db
    .deleteFrom('nodes')
    .where('id', '=', id)
    .where((where) => where.or([where('state', '=', 'lost'), where('used_slots', '=', 0)]))
    .executeTakeFirst()
  return removed.numDeletedRows > 0n
}
