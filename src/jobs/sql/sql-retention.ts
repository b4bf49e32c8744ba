import { sql } from 'kysely'
import { rowLock, rowSet } from '#store/sql/row-set.ts'
import type { JobId, JobState } from '../model.ts'
import type { Fleet } from './sql-fleet.ts'
import { parseJobState, parseJson } from './sql-rows.ts'
import { inTransaction, loadNowMs } from './sql-session.ts'

/** Jobs of which a worker still has a task are left for later. */
export async function pruneJobs(
  { database }: Fleet,
  { finishedBeforeMs, limit }: { readonly finishedBeforeMs: number; readonly limit: number },
): Promise<JobId[]> {
  return await inTransaction(database, async ({ db, dialect }) => {
    const { rows } = await sql<{ id: string }>`
      delete from jobs where id in (
        select id from jobs where finished_at_ms is not null and finished_at_ms < cast(${finishedBeforeMs} as bigint) and leased_count = 0
        order by finished_at_ms limit ${limit} ${rowLock(dialect, 'for update skip locked')}
      ) returning id
    `.execute(db)
    const ids = rows.map(({ id }) => id)
    const gone = rowSet(dialect, ids, { id: ['text', (id) => id] })
    await sql`delete from job_log_lines where job_id in (select id from ${gone} as gone)`.execute(db)
    return ids
  })
}

/**
 * Jobs whose intermediate objects can go: completed and canceled ones at once, others when nobody has tried them again for `keptMs`. From then on a retry
 * does not count on them.
 */
export async function findUncleaned(
  { database }: Fleet,
  { limit, keptMs }: { readonly limit: number; readonly keptMs: number },
): Promise<{ readonly id: JobId; readonly state: JobState; readonly result: unknown }[]> {
  return await inTransaction(database, async (session) => {
    const { db, dialect } = session
    const now = await loadNowMs(session)
    const { rows } = await sql<{ id: string; state: string; result: string | null }>`
      select jobs.id, state, result from jobs join job_documents on job_documents.job_id = jobs.id
      where finished_at_ms is not null and cleanup <> 'done' and leased_count = 0
        and (state in ('completed', 'canceled') or finished_at_ms <= cast(${now - keptMs} as bigint))
      order by finished_at_ms limit ${limit} ${dialect === 'postgres' ? sql`for update of jobs` : sql``}
    `.execute(db)
    const found = rowSet(dialect, rows, { id: ['text', ({ id }) => id] })
    await sql`update jobs set cleanup = 'begun' where id in (select id from ${found} as found) and cleanup = 'none'`.execute(db)
    return rows.map(({ id, state, result }) => ({ id, state: parseJobState(state), result: parseJson(result) }))
  })
}

/** A job that was tried again meanwhile has new intermediate objects, and stays. */
export async function markCleaned({ database: { db, dialect } }: Fleet, ids: readonly JobId[]): Promise<void> {
  const cleaned = rowSet(dialect, ids, { id: ['text', (id) => id] })
  await sql`update jobs set cleanup = 'done' where id in (select id from ${cleaned} as cleaned) and cleanup = 'begun'`.execute(db)
}
