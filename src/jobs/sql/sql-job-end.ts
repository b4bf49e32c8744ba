import { sql } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { JobId } from '../model.ts'
import { JobLedger, type JobEnd } from './sql-job-ledger.ts'
import { lockTasksOfJobs } from './sql-locks.ts'
import { loadNowMs, type Session } from './sql-session.ts'
import type { JobChange } from '../job-store.ts'

/** Tasks of jobs that are over and have no worker: nobody will do them. Those with a worker are stopped by its next heartbeat. */
export async function cancelWaiting({ db, dialect }: Session, jobIds: readonly JobId[], now: number): Promise<void> {
  if (jobIds.length === 0) return
  const ended = rowSet(dialect, jobIds, { id: ['text', (id) => id] })
  await sql`
    update tasks set state = 'canceled', finished_at_ms = cast(${now} as bigint)
    where job_id in (select id from ${ended} as ended) and state in ('blocked', 'ready')
  `.execute(db)
}

/** Ends jobs from outside; those that are over stay as they are. */
export async function endJobs(session: Session, jobIds: readonly JobId[], end: JobEnd): Promise<readonly JobChange[]> {
  // Tasks before jobs, as everywhere; those that a completion inserts meanwhile are seen by the update.
  await lockTasksOfJobs(session, jobIds)
  const now = await loadNowMs(session)
  const jobs = await JobLedger.lock(session, jobIds, now)
  for (const id of jobIds) jobs.end(id, end)
  await cancelWaiting(session, jobs.ended, now)
  return await jobs.save()
}
