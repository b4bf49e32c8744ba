import { sql, type RawBuilder } from 'kysely'
import { rowLock } from '#store/sql/row-set.ts'
import type { Candidate, CostLimits } from '../claim-choice.ts'
import { firstWaitingRank } from '../model.ts'
import { isCapable } from './sql-classes.ts'
import type { Session } from './sql-session.ts'

type Row = Candidate & { readonly fair_key: number }
type Claimable = {
  /** In the order in which they are to be claimed; locked. */
  readonly candidates: readonly Candidate[]
  /** Others hold all that was seen; there may be more behind. */
  readonly mayBeMore: boolean
}

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
 * however many, cost nothing. A whole claim with 60,000 ready tasks, on two shared cores (bench/jobs-claim.ts): PostgreSQL 3.3 ms at p50 and 9 ms at p99,
 * SQLite 0.7 and 6.6 ms; behind 40,000 more that nobody can do 3.1 and 7.9 ms, 0.6 and 1.9 ms.
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
  const heads: Row[] = []
  for (const { id } of classes.rows) heads.push(...(await claimableInSqlite(id, wanted).execute(db)).rows)
  // One writer: nothing is held by others.
  return { candidates: inOrder(heads).slice(0, wanted.limit), mayBeMore: false }
}

/** The heads are read without locks; rows are locked in order of the claim, as many as asked for, so that claims at once take what is next. */
export function claimableInPostgres(wanted: Wanted): RawBuilder<{ seen_count: number } & (Row | Record<keyof Row, null>)> {
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
      select tasks.id, tasks.rank, tasks.cost, tasks.fair_key
      from heads join tasks on tasks.id = heads.id
      where tasks.state = 'ready' and tasks.is_due = 1
      order by heads.rank, heads.fair_key, heads.id limit ${sql.lit(wanted.limit)} for update of tasks skip locked
    )
    select seen_count, best.* from (select count(*) as seen_count from heads) as seen left join best on true
  `
}

/** Of one class: SQLite has no lateral join. */
export function claimableInSqlite(classId: number, wanted: Pick<Wanted, 'limit'> & CostLimits): RawBuilder<Row> {
  return sql`
    select id, rank, cost, fair_key from tasks indexed by tasks_ready
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

function inOrder(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => a.rank - b.rank || a.fair_key - b.fair_key || a.id - b.id)
}
