import { sql, type RawBuilder } from 'kysely'
import { rowLock } from '#store/sql/row-set.ts'
import type { Candidate, CostLimits } from '../claim-choice.ts'
import { firstWaitingRank } from '../model.ts'
import { isCapable } from './sql-classes.ts'
import type { TaskLock } from './sql-locks.ts'
import type { Session } from './sql-session.ts'

/** A task that may be claimed, as it is before. */
export type ClaimableTask = Candidate &
  Pick<TaskLock, 'job_id' | 'kind' | 'rendition' | 'chunk' | 'base_rank' | 'fence' | 'attempt' | 'total_frames'> & {
    readonly fair_key: number
  }
type Claimable = {
  /** In the order in which they are to be claimed; locked. */
  readonly candidates: readonly ClaimableTask[]
  /** Others hold all that was seen; there may be more behind. */
  readonly mayBeMore: boolean
}

const columns = sql.raw(
  'tasks.id, job_id, kind, rendition, chunk, base_rank, tasks.rank, tasks.fair_key, cost, fence, attempt, total_frames',
)
/** Tasks seen beyond those asked for: what other claims hold at the moment is skipped. */
const margin = 32
/** Tasks whose wait is over, that one claim puts among the others. */
const maxDue = 200

/** Tasks whose retry delay is over become claimable. Until then they are in another index, so that no claim steps over them. */
export async function makeDue({ db, dialect }: Session, now: number): Promise<number> {
  const { rows } = await sql`
    update tasks set is_due = 1 where id in (
      select id from tasks where state = 'ready' and is_due = 0 and run_after_ms <= cast(${now} as bigint)
      order by run_after_ms limit ${sql.lit(maxDue)} ${rowLock(dialect, 'for update skip locked')}
    ) returning id
  `.execute(db)
  return rows.length
}

type Wanted = { readonly nodeId: string; readonly limit: number } & CostLimits

/**
 * The first `limit` claimable tasks for a node, best first. Of each class that it can do, only the head of a partial index is read: tasks that it cannot do,
 * however many, cost nothing. A whole claim with 60,000 ready tasks, on two shared cores (bench/jobs-claim.ts): PostgreSQL 1.4 ms at p50 and 5 ms at p99,
 * SQLite 0.6 and 1.9 ms; behind 40,000 more that nobody can do 1.6 and 4.9 ms, 0.6 and 1.7 ms.
 */
export async function findClaimable({ db, dialect }: Session, wanted: Wanted): Promise<Claimable> {
  if (dialect === 'postgres') {
    const { rows } = await claimableInPostgres(wanted).execute(db)
    const candidates = rows.filter((row) => row.id !== null)
    return { candidates: inOrder(candidates), mayBeMore: candidates.length === 0 && (rows[0]?.seen_count ?? 0) > 0 }
  }
  const classes = await sql<{ id: number }>`
    select task_classes.id from task_classes join nodes on nodes.id = ${wanted.nodeId}
    where ${isCapable(dialect, sql`task_classes.needs`, sql`nodes.capabilities`)}
  `.execute(db)
  const heads: ClaimableTask[] = []
  for (const { id } of classes.rows) heads.push(...(await claimableInSqlite(id, wanted).execute(db)).rows)
  // One writer: nothing is held by others.
  return { candidates: inOrder(heads).slice(0, wanted.limit), mayBeMore: false }
}

/**
 * The heads are read without locks; rows are locked in order of the claim, as many as asked for, so that claims at once take what is next. `state || ''`: a
 * planner that knows little of a new table must not look for one task by reading the index of all that are ready.
 */
export function claimableInPostgres(
  wanted: Wanted,
): RawBuilder<{ seen_count: number } & (ClaimableTask | Record<keyof ClaimableTask, null>)> {
  const seen = sql.lit(wanted.limit + margin)
  return sql`
    with heads as materialized (
      select head.* from task_classes
      cross join lateral (
        select id, rank, fair_key from tasks
        where class_id = task_classes.id and state = 'ready' and is_due = 1 and ${fits(wanted)}
        order by rank, fair_key, id limit ${seen}
      ) as head
      where ${isCapable('postgres', sql`task_classes.needs`, sql`(select capabilities from nodes where id = ${wanted.nodeId})`)}
      order by rank, fair_key, id limit ${seen}
    ), best as (
      select task.* from heads cross join lateral (
        select ${columns} from tasks where tasks.id = heads.id and tasks.state || '' = 'ready' and is_due = 1 for update skip locked
      ) as task limit ${sql.lit(wanted.limit)}
    )
    select seen_count, best.* from (select count(*) as seen_count from heads) as seen left join best on true
  `
}

/** Of one class: SQLite has no lateral join. */
export function claimableInSqlite(classId: number, wanted: Pick<Wanted, 'limit'> & CostLimits): RawBuilder<ClaimableTask> {
  return sql`
    select ${columns} from tasks indexed by tasks_ready
    where class_id = ${classId} and state = 'ready' and is_due = 1 and ${fits(wanted)}
    order by rank, fair_key, id limit ${wanted.limit}
  `
}

/** Most often everything does, and nothing is compared. */
function fits({ liveCost, otherCost }: CostLimits): RawBuilder<boolean> {
  if (liveCost === Infinity && otherCost === Infinity) return sql<boolean>`true`
  const most = (cost: number) => sql.lit(Math.min(cost, 1_000_000))
  return sql<boolean>`cost <= case when rank < ${sql.lit(firstWaitingRank)} then ${most(liveCost)} else ${most(otherCost)} end`
}

function inOrder(rows: readonly ClaimableTask[]): ClaimableTask[] {
  return rows.toSorted((a, b) => a.rank - b.rank || a.fair_key - b.fair_key || a.id - b.id)
}
