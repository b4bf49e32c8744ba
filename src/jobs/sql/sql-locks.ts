/**
 * Locks (PostgreSQL), always in this order, rows of one table by their key: nodes, tasks, jobs, fair shares. Only a claim takes tasks in another order,
 * and it skips those that somebody has. SQLite has one writer: the transaction itself is the lock.
 */
import { sql, type Selectable } from 'kysely'
import { rowLock, rowSet } from '#store/sql/row-set.ts'
import type { JobsTable, NodesTable, TasksTable } from '#store/sql/schema-jobs.ts'
import { nowMs, type Session } from './sql-session.ts'

export type NodeLock = Pick<
  Selectable<NodesTable>,
  'id' | 'state' | 'epoch' | 'slots' | 'live_reserve' | 'used_slots' | 'live_slots' | 'lease_until_ms'
> & {
  readonly now: number
  /** 1: delayed tasks have become due. */
  readonly has_due: number
}

/** Nodes that exist, by id; each with the time at which it was read. */
export async function lockNodes({ db, dialect }: Session, ids: Iterable<string>): Promise<Map<string, NodeLock>> {
  const wanted = rowSet(dialect, [...new Set(ids)], { id: ['text', (id) => id] })
  const { rows } = await sql<NodeLock>`
    select id, state, epoch, slots, live_reserve, used_slots, live_slots, lease_until_ms, ${nowMs(dialect)} as now,
      case when exists (
        select 1 from tasks where state = 'ready' and is_due = 0 and run_after_ms <= ${nowMs(dialect)}
      ) then 1 else 0 end as has_due
    from nodes where id in (select id from ${wanted} as wanted) order by id ${rowLock(dialect, 'for update')}
  `.execute(db)
  return new Map(rows.map((row) => [row.id, row]))
}

const taskColumns = [
  'id',
  'job_id',
  'kind',
  'rendition',
  'chunk',
  'base_rank',
  'cost',
  'state',
  'deps_left',
  'attempt',
  'lost_count',
  'fence',
  'node_id',
  'node_epoch',
  'held_slots',
  'frames',
  'total_frames',
  'speed',
  'is_due',
  'run_after_ms',
  'aged_at_ms',
  'leased_at_ms',
  'held_at_ms',
  'progress_at_ms',
  'finished_at_ms',
  'error_code',
  'error_message',
] as const
export type TaskLock = Pick<Selectable<TasksTable>, (typeof taskColumns)[number]>

/** Frames that count for the job: those that were planned, and those of a live job, of which nobody knows how many there will be. */
export function countedFrames({ kind, total_frames }: Pick<TaskLock, 'kind' | 'total_frames'>, frames: number): number {
  return total_frames > 0 || kind === 'live' ? frames : 0
}

const taskList = sql.join(taskColumns.map((name) => sql.ref(`tasks.${name}`)))

/** The tasks of these ids that exist. */
export async function lockTasks({ db, dialect }: Session, ids: readonly number[]): Promise<Map<number, TaskLock>> {
  const wanted = rowSet(dialect, ids, { id: ['bigint', (id) => id] })
  return await select({ db, dialect }, sql`id in (select id from ${wanted} as wanted)`)
}

/** The same with all tasks that wait for them, and which of these waits for which of them. */
export async function lockTasksAndChildren(
  { db, dialect }: Session,
  ids: readonly number[],
): Promise<{ readonly tasks: Map<number, TaskLock>; readonly children: Map<number, number[]> }> {
  const wanted = rowSet(dialect, ids, { id: ['bigint', (id) => id] })
  const { rows } = await sql<TaskLock & { parents: string | null }>`
    select ${taskList}, (
      select string_agg(cast(parent_id as text), ',') from task_deps
      where child_id = tasks.id and parent_id in (select id from ${wanted} as parents)
    ) as parents
    from tasks where id in (
      select id from ${wanted} as wanted
      union select child_id from task_deps where parent_id in (select id from ${wanted} as parents)
    ) order by id ${rowLock(dialect, 'for update')}
  `.execute(db)
  const children = new Map<number, number[]>(ids.map((id) => [id, []]))
  for (const { id, parents } of rows) {
    for (const parent of parents?.split(',') ?? []) children.get(Number(parent))?.push(id)
  }
  return { tasks: new Map(rows.map((row) => [row.id, row])), children }
}

/** All tasks of these jobs. */
export async function lockTasksOfJobs({ db, dialect }: Session, jobIds: readonly string[]): Promise<Map<number, TaskLock>> {
  const wanted = rowSet(dialect, jobIds, { id: ['text', (id) => id] })
  return await select({ db, dialect }, sql`job_id in (select id from ${wanted} as wanted)`)
}

/** Tasks that a node has. */
export async function lockTasksOfNode({ db, dialect }: Session, nodeId: string): Promise<Map<number, TaskLock>> {
  return await select({ db, dialect }, sql`state = 'leased' and node_id = ${nodeId}`)
}

async function select({ db, dialect }: Session, where: ReturnType<typeof sql>): Promise<Map<number, TaskLock>> {
  const { rows } = await sql<TaskLock>`
    select ${taskList} from tasks where ${where} order by id ${rowLock(dialect, 'for update')}
  `.execute(db)
  return new Map(rows.map((row) => [row.id, row]))
}

/** Of a job, as it is locked. */
export const jobColumns = [
  'id',
  'tenant',
  'scenario',
  'queue',
  'state',
  'generation',
  'error_code',
  'error_message',
  'deadline_ms',
  'deadline_at_ms',
  'is_cancel_requested',
  'created_at_ms',
  'started_at_ms',
  'finished_at_ms',
  'task_count',
  'done_count',
  'leased_count',
  'frames',
  'total_frames',
  'cleanup',
  'traceparent',
] as const
export type JobLock = Pick<Selectable<JobsTable>, (typeof jobColumns)[number]>

const jobList = sql.join(jobColumns.map((name) => sql.ref(name)))

/** Jobs that exist, by id. */
export async function lockJobs({ db, dialect }: Session, ids: Iterable<string>): Promise<Map<string, JobLock>> {
  const wanted = rowSet(dialect, [...new Set(ids)], { id: ['text', (id) => id] })
  const { rows } = await sql<JobLock>`
    select ${jobList} from jobs where id in (select id from ${wanted} as wanted) order by id ${rowLock(dialect, 'for update')}
  `.execute(db)
  return new Map(rows.map((row) => [row.id, row]))
}
