import { sql } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { Effects, Failure, WorkerRef } from '../job-store.ts'
import type { AttemptOutcome, TaskId } from '../model.ts'
import { noEffects, type Fleet } from './sql-fleet.ts'
import { JobLedger } from './sql-job-ledger.ts'
import { cancelWaiting } from './sql-job-end.ts'
import { lockNodes, lockTasks, lockTasksOfJobs, type TaskLock } from './sql-locks.ts'
import { inTransaction, loadNowMs, type Session } from './sql-session.ts'
import { TaskLedger } from './sql-task-ledger.ts'

const outcomes = {
  transient: 'transient',
  terminal: 'terminal',
  rejected: 'terminal',
  released: 'released',
  input: 'input',
} as const satisfies Record<Failure['kind'], AttemptOutcome>

/** One attempt that its worker gives up. */
export async function failTask(fleet: Fleet, request: WorkerRef & Failure): Promise<{ readonly isTaken: boolean } & Effects> {
  return await inTransaction(fleet.database, async (session) => {
    const nodes = await lockNodes(session, [request.nodeId])
    const tasks = await lockAffected(session, request)
    const task = tasks.get(request.taskId)
    if (!task || !isHis(request, task)) return { isTaken: false, ...noEffects }
    const now = await loadNowMs(session)
    const jobs = await JobLedger.lock(session, [task.job_id], now)
    const ledger = new TaskLedger({ session, now, policy: fleet.policy, nodes, tasks, jobs })
    const { code, message } = request
    const isRedone = request.kind === 'input' && (await redoInputs(session, { request, task, ledger, jobs }))
    // Inputs that are being made again already, or are none of this task's: it is simply tried again.
    const outcome = request.kind === 'input' && !isRedone ? 'transient' : outcomes[request.kind]
    const next = ledger.endAttempt(task, { outcome, code, message })
    if (next === 'failed') {
      jobs.end(task.job_id, {
        state: request.kind === 'rejected' ? 'rejected' : 'failed',
        errorCode: code,
        errorMessage: message,
      })
    }
    await ledger.save()
    await cancelWaiting(session, jobs.ended, now)
    return { isTaken: true, changes: await jobs.save(), readyCount: jobs.ended.length > 0 ? 0 : ledger.readyCount }
  })
}

/** What may end the job locks all of its tasks at once, in order; most failures need one row. */
async function lockAffected(session: Session, { kind, taskId }: Failure): Promise<Map<number, TaskLock>> {
  if (kind === 'transient' || kind === 'released') return await lockTasks(session, [taskId])
  const row = await session.db.selectFrom('tasks').select('job_id').where('id', '=', taskId).executeTakeFirst()
  return row ? await lockTasksOfJobs(session, [row.job_id]) : new Map()
}

function isHis({ nodeId, epoch, fence }: WorkerRef & Failure, task: TaskLock): boolean {
  return task.state === 'leased' && task.fence === fence && task.node_id === nodeId && task.node_epoch === epoch
}

/** False: none of them is an input of the task that counts as done. */
async function redoInputs(
  session: Session,
  { request, task, ledger, jobs }: { request: Failure; task: TaskLock; ledger: TaskLedger; jobs: JobLedger },
): Promise<boolean> {
  if (jobs.isOver(task.job_id)) return false
  const named = [...new Set(request.badInputs ?? [])].filter((id) => ledger.find(id)?.state === 'done')
  const children = await loadChildren(session, named)
  const bad = named.filter((id) => children.get(id)?.includes(task.id))
  const { code, message } = request
  for (const id of bad) {
    const parent = ledger.find(id)
    if (!parent) continue
    const next = ledger.redo(parent, { children: children.get(id) ?? [], code, message })
    if (next === 'failed') jobs.end(task.job_id, { state: 'failed', errorCode: code, errorMessage: message })
  }
  return bad.length > 0
}

/** Tasks that wait for each of these; that never changes. */
async function loadChildren({ db, dialect }: Session, parentIds: readonly TaskId[]): Promise<Map<TaskId, TaskId[]>> {
  const parents = rowSet(dialect, parentIds, { id: ['bigint', (id) => id] })
  const { rows } = await sql<{ parent_id: number; child_id: number }>`
    select parent_id, child_id from task_deps where parent_id in (select id from ${parents} as parents)
  `.execute(db)
  const children = new Map<TaskId, TaskId[]>()
  for (const { parent_id, child_id } of rows) {
    const list = children.get(parent_id)
    if (list) list.push(child_id)
    else children.set(parent_id, [child_id])
  }
  return children
}
