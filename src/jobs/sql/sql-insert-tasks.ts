import { sql, type RawBuilder } from 'kysely'
import { AppError } from '#lib/errors.ts'
import { rowSet } from '#store/sql/row-set.ts'
import { taskKey, type NewTask } from '../job-store.ts'
import { parseTaskKind } from './sql-rows.ts'
import { takeFairKeys } from './sql-fair-shares.ts'
import type { TaskLock } from './sql-locks.ts'
import { writeTogether, type Session } from './sql-session.ts'

/** Tasks to be added to one job. `classIds` go with `tasks`. */
export type TasksOfJob = {
  readonly jobId: string
  readonly tenant: string
  readonly rank: number
  readonly tasks: readonly NewTask[]
  readonly classIds: readonly number[]
}

/** A task of the job that was there before. */
type KnownTask = { readonly id: number; readonly isDone: boolean }
/** By job, and within it by key. */
type KnownTasks = Map<string, Map<string, KnownTask>>
type KnownRow = Pick<TaskLock, 'id' | 'job_id' | 'kind' | 'rendition' | 'chunk' | 'state'>

/**
 * Inserts tasks of jobs whose rows are locked, with a few statements for each tenant and rank, however many jobs they are, as the end of a transaction. `known`:
 * tasks that are there and that they may wait for; others are looked up. Gives back how many tasks are ready. Throws `INTERNAL` when one waits for a task that
 * is not there.
 */
export async function insertTasks(
  session: Session,
  {
    now,
    jobs,
    known: locked,
  }: { readonly now: number; readonly jobs: readonly TasksOfJob[]; readonly known: readonly KnownRow[] },
): Promise<number> {
  const known = knownTasks(locked)
  const unknown = jobs.filter((job) => parentsElsewhere(job).some((key) => !known.get(job.jobId)?.has(key)))
  if (unknown.length > 0) await loadKnown(session, known, unknown)
  const rows: Row[] = []
  for (const group of groupByShare(jobs)) rows.push(...(await rowsOf(session, group, known)))
  const ids = await insertRows(session, { now, rows })
  const edges = rows.flatMap(({ jobId, task }) => {
    const idOf = (key: string) => ids.get(rowKey(jobId, key)) ?? known.get(jobId)?.get(key)?.id ?? missing(key, jobId)
    return [...new Set(task.after)].map((key) => ({ parentId: idOf(key), childId: idOf(taskKey(task)) }))
  })
  await writeTogether(session, writeEdges(session, edges), { isLast: true })
  return rows.filter(({ depsLeft }) => depsLeft === 0).length
}

/** Keys of tasks that others wait for and that are not added with them. */
function parentsElsewhere({ tasks }: TasksOfJob): string[] {
  const added = new Set(tasks.map(taskKey))
  return tasks.flatMap(({ after }) => after.filter((key) => !added.has(key)))
}

type Row = {
  readonly jobId: string
  readonly rank: number
  readonly task: NewTask
  readonly depsLeft: number
  readonly classId: number
  readonly fairKey: number
}

/** Jobs of one tenant and rank together, in the order in which fair shares are locked. */
function groupByShare(jobs: readonly TasksOfJob[]): (readonly TasksOfJob[])[] {
  const groups = new Map<string, TasksOfJob[]>()
  for (const job of jobs.toSorted((a, b) => compare(a.tenant, b.tenant) || a.rank - b.rank)) {
    const key = `${job.rank} ${job.tenant}`
    const group = groups.get(key)
    if (group) group.push(job)
    else groups.set(key, [job])
  }
  return [...groups.values()]
}

async function rowsOf(session: Session, group: readonly TasksOfJob[], known: KnownTasks): Promise<Row[]> {
  const [first] = group
  if (first === undefined) return []
  const { tenant, rank } = first
  const wanted = group.flatMap(({ jobId, tasks, classIds }) =>
    tasks.map((task, at) => ({ jobId, rank, task, classId: classIds[at] ?? 0 })),
  )
  const fairKeys = await takeFairKeys(session, { tenant, rank, costs: wanted.map(({ task }) => costOf(task)) })
  return wanted.map((row, at) => {
    const parents = [...new Set(row.task.after)]
    const doneCount = parents.filter((key) => known.get(row.jobId)?.get(key)?.isDone).length
    return { ...row, depsLeft: parents.length - doneCount, fairKey: fairKeys[at] ?? 0 }
  })
}

/** Ids by `rowKey`. */
async function insertRows(
  { db, dialect }: Session,
  { now, rows }: { now: number; rows: readonly Row[] },
): Promise<Map<string, number>> {
  const added = rowSet(dialect, rows, {
    job_id: ['text', ({ jobId }) => jobId],
    rank: ['bigint', ({ rank }) => rank],
    kind: ['text', ({ task }) => task.kind],
    rendition: ['text', ({ task }) => task.rendition],
    chunk: ['bigint', ({ task }) => task.chunk],
    class_id: ['bigint', ({ classId }) => classId],
    fair_key: ['bigint', ({ fairKey }) => fairKey],
    cost: ['bigint', ({ task }) => costOf(task)],
    state: ['text', ({ depsLeft }) => (depsLeft > 0 ? 'blocked' : 'ready')],
    deps_left: ['bigint', ({ depsLeft }) => depsLeft],
    total_frames: ['bigint', ({ task }) => task.totalFrames],
  })
  const inserted = await sql<{ id: number; job_id: string; kind: string; rendition: string; chunk: number }>`
    insert into tasks (job_id, kind, rendition, chunk, class_id, base_rank, rank, fair_key, cost, state, is_due, deps_left,
      attempt, lost_count, fence, held_slots, frames, total_frames, speed, run_after_ms, aged_at_ms)
    select job_id, kind, rendition, chunk, class_id, rank, rank, fair_key,
      cost, state, 1, deps_left, 0, 0, 0, 0, 0, total_frames, 0, cast(${now} as bigint), cast(${now} as bigint)
    from ${added} as added
    returning id, job_id, kind, rendition, chunk
  `.execute(db)
  return new Map(inserted.rows.map((row) => [rowKey(row.job_id, taskKey({ ...row, kind: parseTaskKind(row.kind) })), row.id]))
}

function writeEdges(
  { dialect }: Session,
  edges: readonly { readonly parentId: number; readonly childId: number }[],
): RawBuilder<unknown>[] {
  if (edges.length === 0) return []
  const added = rowSet(dialect, edges, {
    parent_id: ['bigint', (edge) => edge.parentId],
    child_id: ['bigint', (edge) => edge.childId],
  })
  return [sql`insert into task_deps (parent_id, child_id) select parent_id, child_id from ${added} as added`]
}

function knownTasks(rows: readonly KnownRow[]): KnownTasks {
  const known: KnownTasks = new Map()
  for (const row of rows) addKnown(known, row)
  return known
}

function addKnown(known: KnownTasks, { job_id: jobId, id, state, ...row }: KnownRow): void {
  const tasks = known.get(jobId) ?? new Map<string, KnownTask>()
  known.set(jobId, tasks.set(taskKey({ ...row, kind: parseTaskKind(row.kind) }), { id, isDone: state === 'done' }))
}

async function loadKnown({ db, dialect }: Session, known: KnownTasks, jobs: readonly TasksOfJob[]): Promise<void> {
  const wanted = rowSet(dialect, jobs, { id: ['text', ({ jobId }) => jobId] })
  const { rows } = await sql<KnownRow>`
    select id, job_id, kind, rendition, chunk, state from tasks where job_id in (select id from ${wanted} as wanted)
  `.execute(db)
  for (const row of rows) addKnown(known, row)
}

function rowKey(jobId: string, key: string): string {
  return `${jobId} ${key}`
}

/** By code units, as the database does. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

export function costOf({ cost }: NewTask): number {
  return Math.max(1, Math.round(cost))
}

function missing(key: string, jobId: string): never {
  throw new AppError('INTERNAL', `a task of job ${jobId} waits for the task "${key}", which the job does not have`)
}
