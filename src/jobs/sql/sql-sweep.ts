import { sql } from 'kysely'
import { rowLock } from '#store/sql/row-set.ts'
import type { Effects } from '../job-store.ts'
import { queues } from '../model.ts'
import { mergeEffects, type Fleet } from './sql-fleet.ts'
import { endJobs } from './sql-job-end.ts'
import { endLostAttempts, type Lapse } from './sql-lost.ts'
import type { JobLock, NodeLock, TaskLock } from './sql-locks.ts'
import { parseQueue } from './sql-rows.ts'
import { inTransaction, loadNowMs, nowMs, type Session } from './sql-session.ts'

/** Of nodes, tasks and jobs that one sweep ends. */
const maxNodes = 100
const maxTasks = 500
const maxJobs = 50

/** Steps in transactions of their own: each can be repeated, and a sweep that stops between two is finished by the next. */
export async function sweep(fleet: Fleet): Promise<{ readonly lost: number; readonly stale: number } & Effects> {
  await inTransaction(fleet.database, loseNodes)
  const attempts = await inTransaction(fleet.database, (session) => endLapsed(session, fleet))
  const deadlines = await inTransaction(fleet.database, endLate)
  return { lost: attempts.lost, stale: attempts.stale, ...mergeEffects([attempts, deadlines]) }
}

async function loseNodes({ db, dialect }: Session): Promise<void> {
  await sql`
    update nodes set state = 'lost' where id in (
      select id from nodes where state <> 'lost' and lease_until_ms <= ${nowMs(dialect)}
      order by id limit ${sql.lit(maxNodes)} ${rowLock(dialect, 'for update skip locked')}
    )
  `.execute(db)
}

async function endLapsed(session: Session, fleet: Fleet): Promise<Effects & Record<Lapse, number>> {
  const { db } = session
  const now = await loadNowMs(session)
  const { staleMs } = fleet.policy
  const staleByQueue = sql.join(
    queues.map((queue) => sql`when ${sql.lit(queue)} then cast(${staleMs[queue]} as bigint)`),
    sql` `,
  )
  const { rows } = await sql<{ id: number; node_id: string | null }>`
    select tasks.id, tasks.node_id from tasks
    join jobs on jobs.id = tasks.job_id left join nodes on nodes.id = tasks.node_id
    where tasks.state = 'leased' and (
      nodes.id is null or nodes.state = 'lost' or nodes.epoch <> tasks.node_epoch
      or tasks.progress_at_ms <= cast(${now} as bigint) - case jobs.queue ${staleByQueue} end
    )
    order by tasks.id limit ${sql.lit(maxTasks)}
  `.execute(db)
  const isEnded = ({ task, node, job }: { task: TaskLock; node: NodeLock | undefined; job: JobLock | undefined }) => {
    if (!node || node.state === 'lost' || node.epoch !== task.node_epoch) return 'lost'
    if (!job || task.progress_at_ms === null) return undefined
    return task.progress_at_ms <= now - staleMs[parseQueue(job.queue)] ? 'stale' : undefined
  }
  const nodeIds = rows.flatMap(({ node_id }) => node_id ?? [])
  return await endLostAttempts(session, { fleet, now, nodeIds, taskIds: rows.map(({ id }) => id), isEnded })
}

async function endLate(session: Session): Promise<Effects> {
  const { rows } = await sql<{ id: string }>`
    select id from jobs
    where state in ('queued', 'assigned', 'running', 'retrying') and deadline_at_ms <= ${nowMs(session.dialect)}
    order by deadline_at_ms limit ${sql.lit(maxJobs)}
  `.execute(session.db)
  if (rows.length === 0) return { changes: [], readyCount: 0 }
  const end = { state: 'timed_out', errorCode: 'TIMEOUT', errorMessage: 'the deadline of the job has passed' } as const
  return {
    changes: await endJobs(
      session,
      rows.map(({ id }) => id),
      end,
    ),
    readyCount: 0,
  }
}
