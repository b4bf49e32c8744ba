import type { Effects } from '../job-store.ts'
import { describeTask, type TaskId } from '../model.ts'
import type { Fleet } from './sql-fleet.ts'
import { cancelWaiting } from './sql-job-end.ts'
import { JobLedger } from './sql-job-ledger.ts'
import { lockNodes, lockTasks, type JobLock, type NodeLock, type TaskLock } from './sql-locks.ts'
import type { Session } from './sql-session.ts'
import { TaskLedger } from './sql-task-ledger.ts'

export type Lapse = 'lost' | 'stale'

const messages = {
  lost: 'its worker was lost: it did not renew its lease, or registered anew',
  stale: 'its frames stood still for too long',
} as const satisfies Record<Lapse, string>

/** Ends attempts of which nobody speaks any more. `isEnded` looks again at each, now that it is locked. */
export async function endLostAttempts(
  session: Session,
  {
    fleet,
    now,
    nodeIds,
    taskIds,
    isEnded,
  }: {
    fleet: Fleet
    now: number
    nodeIds: readonly string[]
    taskIds: readonly TaskId[]
    isEnded: (found: { task: TaskLock; node: NodeLock | undefined; job: JobLock | undefined }) => Lapse | undefined
  },
): Promise<Effects & Record<Lapse, number>> {
  const count = { lost: 0, stale: 0 }
  if (taskIds.length === 0) return { ...count, changes: [], readyCount: 0 }
  const nodes = await lockNodes(session, nodeIds)
  const tasks = await lockTasks(session, taskIds)
  const jobs = await JobLedger.lock(
    session,
    [...tasks.values()].map((task) => task.job_id),
    now,
  )
  const ledger = new TaskLedger({ session, now, policy: fleet.policy, nodes, tasks, jobs })
  for (const task of tasks.values()) {
    if (task.state !== 'leased') continue
    const node = task.node_id === null ? undefined : nodes.get(task.node_id)
    const outcome = isEnded({ task, node, job: jobs.find(task.job_id) })
    if (!outcome) continue
    count[outcome] += 1
    const fault = { outcome, code: 'TIMEOUT', message: messages[outcome] }
    if (ledger.endAttempt(task, fault) !== 'failed') continue
    const { attempt, lost_count } = ledger.find(task.id) ?? task
    const message = `${describeTask(task)} was given up after ${attempt} attempts and ${lost_count} lost workers: ${fault.message}`
    jobs.end(task.job_id, { state: 'failed', errorCode: fault.code, errorMessage: message })
  }
  await ledger.save()
  await cancelWaiting(session, jobs.ended, now)
  return { ...count, changes: await jobs.save(), readyCount: ledger.readyCount }
}
