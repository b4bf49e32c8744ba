import { sql } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { Effects, JobChange } from '../job-store.ts'
import { isTerminal, type JobId, type JobRow } from '../model.ts'
import { takeFairKeys } from './sql-fair-shares.ts'
import { noEffects, type Fleet } from './sql-fleet.ts'
import { endJobs } from './sql-job-end.ts'
import { changeOf, JobLedger } from './sql-job-ledger.ts'
import { findJob } from './sql-jobs.ts'
import { lockJobs, lockNodes, lockTasksOfJobs, type JobLock, type TaskLock } from './sql-locks.ts'
import { parseJobState } from './sql-rows.ts'
import { inTransaction, loadNowMs, type Session } from './sql-session.ts'
import { TaskLedger } from './sql-task-ledger.ts'

type Answer = { readonly job: JobRow | undefined } & Effects

export async function cancelJob({ database }: Fleet, id: JobId): Promise<Answer> {
  return await inTransaction(database, async (session) => {
    const changes = await endJobs(session, [id], { state: 'canceled' })
    return { job: await findJob(session.db, id), changes, readyCount: 0 }
  })
}

/** Another generation. What is done stays, unless the files of it were removed: then only the probe stays, whose output is in the database. */
export async function retryJob(fleet: Fleet, id: JobId): Promise<Answer> {
  return await inTransaction(fleet.database, async (session) => {
    const { db } = session
    const holders = await db
      .selectFrom('tasks')
      .select('node_id')
      .where('job_id', '=', id)
      .where('state', '=', 'leased')
      .execute()
    const nodes = await lockNodes(
      session,
      holders.flatMap(({ node_id }) => node_id ?? []),
    )
    const tasks = await lockTasksOfJobs(session, [id])
    const now = await loadNowMs(session)
    const job = (await lockJobs(session, [id])).get(id)
    if (!job || job.state === 'completed' || !isTerminal(parseJobState(job.state))) return { job: undefined, ...noEffects }
    await takeBack(session, { fleet, now, nodes, tasks, id })
    const isKept = ({ state, kind }: TaskLock) => state === 'done' && (job.cleanup === 'none' || kind === 'probe')
    const kept = [...tasks.values()].filter(isKept)
    const again = [...tasks.values()].filter((task) => !isKept(task))
    const readyCount = await reopenTasks(session, { job, now, again })
    const change = await reopenJob(session, { job, now, kept })
    return { job: await findJob(db, id), changes: [change], readyCount }
  })
}

/** Workers may still have tasks of a job that is over: they are told to stop when they next say so. */
async function takeBack(
  session: Session,
  {
    fleet,
    now,
    nodes,
    tasks,
    id,
  }: { fleet: Fleet; now: number; nodes: Awaited<ReturnType<typeof lockNodes>>; tasks: ReadonlyMap<number, TaskLock>; id: JobId },
): Promise<void> {
  const jobs = await JobLedger.lock(session, [id], now)
  const ledger = new TaskLedger({ session, now, policy: fleet.policy, nodes, tasks, jobs })
  for (const task of tasks.values()) if (task.state === 'leased') ledger.endAttempt(task, { outcome: 'canceled' })
  await ledger.save()
  await jobs.save()
}

async function reopenTasks(
  session: Session,
  { job, now, again }: { job: JobLock; now: number; again: readonly TaskLock[] },
): Promise<number> {
  const { db, dialect } = session
  const rank = again[0]?.base_rank ?? 0
  const fairKeys = await takeFairKeys(session, { tenant: job.tenant, rank, costs: again.map(({ cost }) => cost) })
  const reopened = rowSet(
    dialect,
    again.map(({ id }, at) => ({ id, fairKey: fairKeys[at] ?? 0 })),
    {
      task_id: ['bigint', ({ id }) => id],
      new_fair_key: ['bigint', ({ fairKey }) => fairKey],
    },
  )
  const time = sql`cast(${now} as bigint)`
  await sql`
    update tasks set state = 'canceled', rank = base_rank, fair_key = new_fair_key, is_due = 1, attempt = 0, lost_count = 0, frames = 0,
      speed = 0, run_after_ms = ${time}, aged_at_ms = ${time}, finished_at_ms = null, output = null, error_code = null, error_message = null
    from ${reopened} as reopened where tasks.id = reopened.task_id
  `.execute(db)
  await sql`
    update tasks set deps_left = (
      select count(*) from task_deps join tasks as parents on parents.id = task_deps.parent_id
      where task_deps.child_id = tasks.id and parents.state <> 'done'
    ) where job_id = ${job.id}
  `.execute(db)
  const { rows } = await sql<{ state: string }>`
    update tasks set state = case when deps_left = 0 then 'ready' else 'blocked' end
    where job_id = ${job.id} and state = 'canceled' returning state
  `.execute(db)
  return rows.filter(({ state }) => state === 'ready').length
}

async function reopenJob(
  { db }: Session,
  { job, now, kept }: { job: JobLock; now: number; kept: readonly TaskLock[] },
): Promise<JobChange> {
  const facts = {
    state: 'queued',
    generation: job.generation + 1,
    error_code: null,
    error_message: null,
    is_cancel_requested: 0,
    deadline_at_ms: job.deadline_ms === null ? null : now + job.deadline_ms,
    started_at_ms: null,
    finished_at_ms: null,
    done_count: kept.length,
    leased_count: 0,
    frames: kept.reduce((sum, { frames }) => sum + frames, 0),
    cleanup: 'none',
  } as const
  await db.updateTable('jobs').set(facts).where('id', '=', job.id).execute()
  return changeOf({ ...job, ...facts }, parseJobState(job.state))
}
