import type { Effects, NewJob } from '../job-store.ts'
import { rankOf, type JobRow } from '../model.ts'
import { noEffects, type Fleet } from './sql-fleet.ts'
import { insertTasks } from './sql-insert-tasks.ts'
import { findJob, findJobByKey } from './sql-jobs.ts'
import { cleanText } from './sql-rows.ts'
import { inTransaction, loadNowMs, type Session } from './sql-session.ts'

/** The job and its first task. One that is there already, by its id or its idempotency key, is given back. */
export async function submitJob(
  { database, classes }: Fleet,
  job: NewJob,
): Promise<{ readonly job: JobRow; readonly isNew: boolean } & Effects> {
  const { id, tenant, queue, priority, firstTask, idempotencyKey } = job
  const classIds = await classes.idsOf([firstTask.needs])
  return await inTransaction(database, async (session) => {
    const now = await loadNowMs(session)
    const isNew = await insertJob(session, job, now)
    if (!isNew) {
      const byKey = idempotencyKey === undefined ? undefined : await findJobByKey(session.db, { tenant, idempotencyKey })
      return { job: byKey ?? (await requireJob(session, id)), isNew, ...noEffects }
    }
    await session.db
      .insertInto('job_documents')
      .values({ job_id: id, input: JSON.stringify(job.input ?? null), plan: null, result: null })
      .execute()
    const rank = rankOf(queue, priority)
    const readyCount = await insertTasks(session, {
      now,
      jobs: [{ jobId: id, tenant, rank, tasks: [firstTask], classIds, isNew: true }],
    })
    return { job: await requireJob(session, id), isNew, changes: [], readyCount }
  })
}

/** False: its id or its idempotency key is taken. */
async function insertJob({ db }: Session, job: NewJob, now: number): Promise<boolean> {
  const { deadlineMs } = job
  const rows = await db
    .insertInto('jobs')
    .values({
      id: job.id,
      tenant: job.tenant,
      scenario: job.scenario,
      queue: job.queue,
      priority: job.priority,
      state: 'queued',
      generation: 1,
      label: job.label === undefined ? null : cleanText(job.label),
      idempotency_key: job.idempotencyKey ?? null,
      is_cancel_requested: 0,
      deadline_ms: deadlineMs ?? null,
      deadline_at_ms: deadlineMs === undefined ? null : now + deadlineMs,
      created_at_ms: now,
      task_count: 1,
      done_count: 0,
      leased_count: 0,
      frames: 0,
      total_frames: job.firstTask.totalFrames,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .execute()
  return rows.length > 0
}

async function requireJob({ db }: Session, id: string): Promise<JobRow> {
  const job = await findJob(db, id)
  if (!job) throw new Error(`job ${id} is neither new nor there`)
  return job
}
