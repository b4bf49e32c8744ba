import { sql } from 'kysely'
import { rowLock } from '#store/sql/row-set.ts'
import type { JobCounts, NodeCounts } from '../job-store.ts'
import { firstWaitingRank, priorities, queues, type JobState, type NodeState, type Queue } from '../model.ts'
import { fairKeyInService } from './sql-fair-shares.ts'
import type { Fleet } from './sql-fleet.ts'
import { inTransaction, loadNowMs, nowMs } from './sql-session.ts'

/** Tasks that gain a rank at once. */
const maxAged = 2000
const lastRank = queues.length * priorities.length - 1

/** The term changes with the holder: what was begun in an older one is over. */
export async function takeDuty(
  { database: { db, dialect } }: Pick<Fleet, 'database'>,
  { name, holder, ttlMs }: { readonly name: string; readonly holder: string; readonly ttlMs: number },
): Promise<number | undefined> {
  const { rows } = await sql<{ term: number }>`
    insert into duties (name, holder, term, expires_at_ms) values (${name}, ${holder}, 1, ${nowMs(dialect)} + cast(${ttlMs} as bigint))
    on conflict (name) do update set
      term = duties.term + case when duties.holder = excluded.holder then 0 else 1 end,
      holder = excluded.holder, expires_at_ms = excluded.expires_at_ms
    where duties.expires_at_ms <= ${nowMs(dialect)} or duties.holder = excluded.holder
    returning term
  `.execute(db)
  return rows[0]?.term
}

/** A task that waited gains a rank, behind what is being done there. Live ranks are out of its reach. */
export async function age({ database, policy }: Fleet): Promise<void> {
  await inTransaction(database, async (session) => {
    const { db, dialect } = session
    const now = await loadNowMs(session)
    const keys: number[] = []
    for (let rank = firstWaitingRank; rank < lastRank; rank++) {
      const { rows } = await sql<{ key: number }>`select ${fairKeyInService(rank)} as key`.execute(db)
      keys.push(rows[0]?.key ?? 0)
    }
    const keyByRank = sql.join(
      keys.map((key, at) => sql`when ${sql.lit(firstWaitingRank + at + 1)} then cast(${key} as bigint)`),
      sql` `,
    )
    await sql`
      update tasks set rank = rank - 1, aged_at_ms = cast(${now} as bigint), fair_key = case rank ${keyByRank} else fair_key end
      where id in (
        select id from tasks
        where state = 'ready' and is_due = 1 and rank > ${sql.lit(firstWaitingRank)} and aged_at_ms <= cast(${now - policy.ageMs} as bigint)
        order by aged_at_ms limit ${sql.lit(maxAged)} ${rowLock(dialect, 'for update skip locked')}
      )
    `.execute(db)
  })
}

/**
 * Leases begin anew, also those that would end in a moment, before their workers are heard. What workers could not say meanwhile is taken as said: their tasks are
 * neither stale nor without a holder.
 */
export async function forgiveOutage({ database }: Fleet, leaseMs: number): Promise<void> {
  await inTransaction(database, async (session) => {
    const { db } = session
    const now = await loadNowMs(session)
    const until = sql`cast(${now + leaseMs} as bigint)`
    const { rows } = await sql<{ id: string }>`
      update nodes set lease_until_ms = ${until} where state <> 'lost' and lease_until_ms < ${until} returning id
    `.execute(db)
    if (rows.length === 0) return
    await db
      .updateTable('tasks')
      .set({ progress_at_ms: now, held_at_ms: now })
      .where('state', '=', 'leased')
      .where(
        'node_id',
        'in',
        rows.map(({ id }) => id),
      )
      .execute()
  })
}

export async function loadCounts({ database }: Fleet): Promise<JobCounts> {
  const { db } = database
  const byState = await sql<{ state: string; count: number }>`select state, count(*) as count from jobs group by state`.execute(
    db,
  )
  const byRank = await sql<{ rank: number; count: number; oldest: number }>`
    select base_rank as rank, count(*) as count, min(run_after_ms) as oldest from tasks where state = 'ready' and is_due = 1 group by base_rank
  `.execute(db)
  const now = await loadNowMs(database)
  // Their wait is over, and no claim has come by since that would put them among the others.
  const overdue = await sql<{ rank: number; count: number; oldest: number }>`
    select base_rank as rank, count(*) as count, min(run_after_ms) as oldest from tasks
    where state = 'ready' and is_due = 0 and run_after_ms <= cast(${now} as bigint) group by base_rank
  `.execute(db)
  const ready = [...byRank.rows, ...overdue.rows]
  const leased = await sql<{ count: number }>`select count(*) as count from tasks where state = 'leased'`.execute(db)
  const nodes = await sql<NodeCounts & { state: string }>`
    select state, count(*) as count, cast(sum(slots) as bigint) as slots, cast(sum(used_slots) as bigint) as "usedSlots"
    from nodes group by state
  `.execute(db)
  const oldest = Math.min(...ready.map((row) => row.oldest))
  return {
    jobs: countJobs(byState.rows),
    readyTasks: countReady(ready),
    leasedTasks: leased.rows[0]?.count ?? 0,
    oldestReadyMs: ready.length > 0 ? Math.max(0, now - oldest) : undefined,
    nodes: countNodes(nodes.rows),
  }
}

function countJobs(rows: readonly { state: string; count: number }[]): Record<JobState, number> {
  const counts = new Map(rows.map(({ state, count }) => [state, count]))
  const of = (state: JobState) => counts.get(state) ?? 0
  return {
    queued: of('queued'),
    assigned: of('assigned'),
    running: of('running'),
    retrying: of('retrying'),
    completed: of('completed'),
    failed: of('failed'),
    timed_out: of('timed_out'),
    canceled: of('canceled'),
    rejected: of('rejected'),
  }
}

function countNodes(rows: readonly (NodeCounts & { state: string })[]): Record<NodeState, NodeCounts> {
  const counts = new Map(rows.map(({ state, count, slots, usedSlots }) => [state, { count, slots, usedSlots }]))
  const of = (state: NodeState) => counts.get(state) ?? { count: 0, slots: 0, usedSlots: 0 }
  return { active: of('active'), draining: of('draining'), lost: of('lost') }
}

function countReady(rows: readonly { rank: number; count: number }[]): Record<Queue, number> {
  const counts = { live: 0, default: 0, batch: 0 }
  for (const { rank, count } of rows) counts[queues[Math.floor(rank / priorities.length)] ?? 'batch'] += count
  return counts
}
