import { sql, type RawBuilder } from 'kysely'
import type { Effects, NewJob } from '../job-store.ts'
import { rankOf, type JobRow, type TaskRow } from '../model.ts'
import { takeShare } from './sql-fair-shares.ts'
import { noEffects, type Fleet } from './sql-fleet.ts'
import { costOf } from './sql-insert-tasks.ts'
import { findJob, findJobByKey, listTasks } from './sql-jobs.ts'
import { cleanText, toJob, toTask, type JobRecord, type TaskRecord } from './sql-rows.ts'
import { inTransaction, nowMs, type Session } from './sql-session.ts'

type Submitted = { readonly job: JobRow; readonly tasks: readonly TaskRow[]; readonly isNew: boolean } & Effects
type Inserted = { readonly job: JobRecord; readonly task: TaskRecord }

/** The job and its first task. One that is there already, by its id or its idempotency key, is given back. */
export async function submitJob({ database, classes }: Fleet, job: NewJob): Promise<Submitted> {
  const [classId = 0] = await classes.idsOf([job.firstTask.needs])
  const isPostgres = database.dialect === 'postgres'
  const inserted = isPostgres
    ? await insertAtOnce(database, job, classId)
    : await inTransaction(database, (session) => insertInSteps(session, job, classId))
  if (inserted === undefined) return await requireSubmitted(database, job)
  const tasks = [toTask(inserted.task)]
  return { job: toJob(inserted.job), tasks, isNew: true, changes: [], readyCount: tasks.length }
}

/** Four statements, of which three need what those before gave; PostgreSQL takes them as one. */
type Statements = {
  /** Gives nothing when its id or its idempotency key is taken. */
  readonly job: RawBuilder<Omit<JobRecord, 'input' | 'plan' | 'result'>>
  readonly document: RawBuilder<unknown>
  readonly share: RawBuilder<{ finish: number }>
  readonly task: RawBuilder<Omit<TaskRecord, 'needs'>>
}

/** `from`: tables with what those before gave, a row each: `job` (id, created_at_ms) and `share` (finish). */
function statements(
  { dialect }: Pick<Session, 'dialect'>,
  job: NewJob,
  {
    classId,
    from,
  }: { readonly classId: number; readonly from: { readonly job: RawBuilder<unknown>; readonly share: RawBuilder<unknown> } },
): Statements {
  const { id, tenant, queue, priority, firstTask } = job
  const rank = rankOf(queue, priority)
  const cost = costOf(firstTask)
  const label = job.label === undefined ? null : cleanText(job.label)
  const text = (value: string | null) => sql`cast(${value} as text)`
  const number = (value: number | null) => sql`cast(${value} as bigint)`
  const frames = number(firstTask.totalFrames)
  return {
    job: sql`
      insert into jobs (id, tenant, scenario, queue, priority, state, generation, label, idempotency_key, is_cancel_requested,
        deadline_ms, deadline_at_ms, created_at_ms, task_count, done_count, leased_count, frames, total_frames, traceparent)
      select ${text(id)}, ${text(tenant)}, ${text(job.scenario)}, ${text(queue)}, ${text(priority)}, 'queued', 1, ${text(label)},
        ${text(job.idempotencyKey ?? null)}, 0, ${number(job.deadlineMs ?? null)}, now + ${number(job.deadlineMs ?? null)}, now, 1, 0, 0, 0, ${frames},
        ${text(job.traceparent ?? null)}
      from (select ${nowMs(dialect)} as now) as clock where true
      on conflict do nothing returning *
    `,
    document: sql`
      insert into job_documents (job_id, input) select id, ${text(JSON.stringify(job.input ?? null))} from ${from.job}
    `,
    share: takeShare({ tenant, rank, total: cost, condition: sql`exists (select 1 from ${from.job})` }),
    task: sql`
      insert into tasks (job_id, kind, rendition, chunk, class_id, base_rank, rank, fair_key, cost, state, is_due, deps_left,
        attempt, lost_count, fence, held_slots, frames, total_frames, speed, run_after_ms, aged_at_ms)
      select job.id, ${text(firstTask.kind)}, ${text(firstTask.rendition)}, ${number(firstTask.chunk)}, ${number(classId)}, ${number(rank)},
        ${number(rank)}, share.finish - ${number(cost)}, ${number(cost)}, 'ready', 1, 0, 0, 0, 0, 0, 0, ${frames}, 0, created_at_ms, created_at_ms
      from ${from.job}, ${from.share} returning *
    `,
  }
}

/** One statement: the share, for which others wait, is locked until the end of it, and not while this process takes a breath. */
async function insertAtOnce({ db, dialect }: Session, job: NewJob, classId: number): Promise<Inserted | undefined> {
  const {
    job: jobs,
    document,
    share,
    task,
  } = statements({ dialect }, job, { classId, from: { job: sql`job`, share: sql`share` } })
  const { rows } = await sql<{ job: Omit<JobRecord, 'input' | 'plan' | 'result'>; task: Omit<TaskRecord, 'needs'> }>`
    with job as (${jobs}), document as (${document}), share as (${share}), task as (${task})
    select to_json(job) as job, to_json(task) as task from job, task
  `.execute(db)
  const [row] = rows
  return row && complete(row, job)
}

async function insertInSteps({ db, dialect }: Session, job: NewJob, classId: number): Promise<Inserted | undefined> {
  const share = sql`(select finish from fair_shares where tenant = ${job.tenant} and rank = ${rankOf(job.queue, job.priority)}) as share`
  const from = { job: sql`(select id, created_at_ms from jobs where id = ${job.id}) as job`, share }
  const steps = statements({ dialect }, job, { classId, from })
  const [row] = (await steps.job.execute(db)).rows
  if (row === undefined) return undefined
  await steps.document.execute(db)
  await steps.share.execute(db)
  const [task] = (await steps.task.execute(db)).rows
  return task && complete({ job: row, task }, job)
}

function complete(
  { job, task }: { readonly job: Omit<JobRecord, 'input' | 'plan' | 'result'>; readonly task: Omit<TaskRecord, 'needs'> },
  { input, firstTask }: NewJob,
): Inserted {
  return {
    job: { ...job, input: JSON.stringify(input ?? null), plan: null, result: null },
    task: { ...task, needs: JSON.stringify(firstTask.needs) },
  }
}

async function requireSubmitted({ db }: Pick<Session, 'db'>, { id, tenant, idempotencyKey }: NewJob): Promise<Submitted> {
  const byKey = idempotencyKey === undefined ? undefined : await findJobByKey(db, { tenant, idempotencyKey })
  const job = byKey ?? (await findJob(db, id))
  if (!job) throw new Error(`job ${id} is neither new nor there`)
  return { job, tasks: await listTasks(db, job.id), isNew: false, ...noEffects }
}
