import { sql } from 'kysely'
import { AppError } from '#lib/errors.ts'
import { rowSet } from '#store/sql/row-set.ts'
import { taskKey, type NewTask } from '../job-store.ts'
import { parseTaskKind } from './sql-rows.ts'
import { takeFairKeys } from './sql-fair-shares.ts'
import type { Session } from './sql-session.ts'

/** A task of the job that was there before. */
type KnownTask = { readonly id: number; readonly isDone: boolean }

/**
 * Inserts tasks of one job, whose row is locked or new. `classIds` go with `tasks`. Gives back how many are ready. Throws `INTERNAL` when one waits for a
 * task that is not there.
 */
export async function insertTasks(
  session: Session,
  {
    jobId,
    tenant,
    rank,
    now,
    tasks,
    classIds,
  }: {
    jobId: string
    tenant: string
    rank: number
    now: number
    tasks: readonly NewTask[]
    classIds: readonly number[]
  },
): Promise<number> {
  if (tasks.length === 0) return 0
  const known = await loadKnown(session, jobId)
  const fairKeys = await takeFairKeys(session, { tenant, rank, costs: tasks.map(costOf) })
  const rows = tasks.map((task, at) => ({
    task,
    depsLeft: new Set(task.after).size - [...new Set(task.after)].filter((key) => known.get(key)?.isDone).length,
    classId: classIds[at] ?? 0,
    fairKey: fairKeys[at] ?? 0,
  }))
  const ids = await insertRows(session, { jobId, rank, now, rows })
  const edges = tasks.flatMap((task) =>
    [...new Set(task.after)].map((key) => ({
      parentId: ids.get(key) ?? known.get(key)?.id ?? missing(key, jobId),
      childId: ids.get(taskKey(task)) ?? missing(taskKey(task), jobId),
    })),
  )
  await insertEdges(session, edges)
  return rows.filter(({ depsLeft }) => depsLeft === 0).length
}

type Row = { readonly task: NewTask; readonly depsLeft: number; readonly classId: number; readonly fairKey: number }

async function insertRows(
  { db, dialect }: Session,
  { jobId, rank, now, rows }: { jobId: string; rank: number; now: number; rows: readonly Row[] },
): Promise<Map<string, number>> {
  const added = rowSet(dialect, rows, {
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
  const inserted = await sql<{ id: number; kind: string; rendition: string; chunk: number }>`
    insert into tasks (job_id, kind, rendition, chunk, class_id, base_rank, rank, fair_key, cost, state, is_due, deps_left,
      attempt, lost_count, fence, held_slots, frames, total_frames, speed, run_after_ms, aged_at_ms)
    select cast(${jobId} as text), kind, rendition, chunk, class_id, cast(${rank} as integer), cast(${rank} as integer), fair_key,
      cost, state, 1, deps_left, 0, 0, 0, 0, 0, total_frames, 0, cast(${now} as bigint), cast(${now} as bigint)
    from ${added} as added
    returning id, kind, rendition, chunk
  `.execute(db)
  return new Map(inserted.rows.map((row) => [taskKey({ ...row, kind: parseTaskKind(row.kind) }), row.id]))
}

async function insertEdges(
  { db, dialect }: Session,
  edges: readonly { readonly parentId: number; readonly childId: number }[],
): Promise<void> {
  if (edges.length === 0) return
  const added = rowSet(dialect, edges, {
    parent_id: ['bigint', (edge) => edge.parentId],
    child_id: ['bigint', (edge) => edge.childId],
  })
  await sql`insert into task_deps (parent_id, child_id) select parent_id, child_id from ${added} as added`.execute(db)
}

async function loadKnown({ db }: Session, jobId: string): Promise<Map<string, KnownTask>> {
  const rows = await db
    .selectFrom('tasks')
    .select(['id', 'kind', 'rendition', 'chunk', 'state'])
    .where('job_id', '=', jobId)
    .execute()
  return new Map(
    rows.map((row) => [taskKey({ ...row, kind: parseTaskKind(row.kind) }), { id: row.id, isDone: row.state === 'done' }]),
  )
}

function costOf({ cost }: NewTask): number {
  return Math.max(1, Math.round(cost))
}

function missing(key: string, jobId: string): never {
  throw new AppError('INTERNAL', `a task of job ${jobId} waits for the task "${key}", which the job does not have`)
}
