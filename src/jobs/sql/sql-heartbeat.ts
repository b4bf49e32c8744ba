import { sql } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { Effects, Heartbeat, HeartbeatAnswer, HeldTask, LeaseRef } from '../job-store.ts'
import { noEffects, type Fleet } from './sql-fleet.ts'
import { JobLedger } from './sql-job-ledger.ts'
import { countedFrames, lockNodes, lockTasksOfNode, type NodeLock, type TaskLock } from './sql-locks.ts'
import { formatJson, parseNodeState } from './sql-rows.ts'
import { inTransaction, type Session } from './sql-session.ts'
import { TaskLedger } from './sql-task-ledger.ts'

type Progress = { readonly task: TaskLock; readonly frames: number; readonly speed: number }

/** Renews the lease of a node, takes what it says of its tasks, and compares what it has with what it should have. */
export async function beat(fleet: Fleet, heartbeat: Heartbeat): Promise<HeartbeatAnswer & Effects> {
  const { nodeId, epoch, held } = heartbeat
  return await inTransaction(fleet.database, async (session) => {
    const nodes = await lockNodes(session, [nodeId])
    const node = nodes.get(nodeId)
    if (!node || node.epoch !== epoch || node.state === 'lost' || node.lease_until_ms <= node.now) {
      return { isKnown: false, state: 'lost', stop: held.map(leaseOf), ...noEffects }
    }
    await renew(session, node, heartbeat)
    const state = parseNodeState(node.state)
    const tasks = await lockTasksOfNode(session, nodeId)
    const strangers = held.filter(({ taskId, fence }) => tasks.get(taskId)?.fence !== fence)
    if (tasks.size === 0) return { isKnown: true, state, stop: strangers.map(leaseOf), ...noEffects }
    const jobs = await JobLedger.lock(
      session,
      [...tasks.values()].map((task) => task.job_id),
      node.now,
    )
    const ledger = new TaskLedger({ session, now: node.now, policy: fleet.policy, nodes, tasks, jobs })
    const stopped = compare({ fleet, node, held, tasks, jobs, ledger })
    await saveProgress(session, { now: node.now, progress: stopped.progress })
    await ledger.save()
    const stop = [...strangers.map(leaseOf), ...stopped.leases]
    return { isKnown: true, state, stop, changes: await jobs.save(), readyCount: ledger.readyCount }
  })
}

function compare({
  fleet,
  node,
  held,
  tasks,
  jobs,
  ledger,
}: {
  fleet: Fleet
  node: NodeLock
  held: readonly HeldTask[]
  tasks: ReadonlyMap<number, TaskLock>
  jobs: JobLedger
  ledger: TaskLedger
}): { readonly progress: readonly Progress[]; readonly leases: readonly LeaseRef[] } {
  const progress: Progress[] = []
  const leases: LeaseRef[] = []
  const said = new Map(held.map((one) => [one.taskId, one]))
  for (const task of tasks.values()) {
    const one = said.get(task.id)
    const isHeld = one?.fence === task.fence
    if (jobs.isOver(task.job_id)) {
      ledger.endAttempt(task, { outcome: 'canceled' })
      if (isHeld) leases.push({ taskId: task.id, fence: task.fence })
    } else if (isHeld) {
      const frames = Math.max(task.frames, Math.min(Math.round(one.frames), task.total_frames || Infinity))
      progress.push({ task, frames, speed: one.speed })
      jobs.add(task.job_id, { frames: countedFrames(task, frames - task.frames), isMoving: true })
    } else if (node.now - (task.held_at_ms ?? 0) >= fleet.policy.unheldMs) {
      ledger.endAttempt(task, {
        outcome: 'released',
        code: 'TIMEOUT',
        message: 'its worker does not have it: the answer to its claim was lost',
      })
    }
  }
  return { progress, leases }
}

async function renew({ db }: Session, node: NodeLock, { leaseMs, load }: Heartbeat): Promise<void> {
  await db
    .updateTable('nodes')
    .set({ lease_until_ms: node.now + leaseMs, seen_at_ms: node.now, ...(load ? { load: formatJson(load) } : {}) })
    .where('id', '=', node.id)
    .execute()
}

async function saveProgress(
  { db, dialect }: Session,
  { now, progress }: { now: number; progress: readonly Progress[] },
): Promise<void> {
  if (progress.length === 0) return
  const changes = rowSet(dialect, progress, {
    task_id: ['bigint', ({ task }) => task.id],
    new_frames: ['bigint', ({ frames }) => frames],
    new_speed: ['text', ({ speed }) => String(speed)],
    new_progress_at: ['bigint', ({ task, frames }) => (frames > task.frames ? now : task.progress_at_ms)],
  })
  await sql`
    update tasks set frames = new_frames, speed = cast(new_speed as double precision), held_at_ms = cast(${now} as bigint),
      progress_at_ms = new_progress_at
    from ${changes} as changed where tasks.id = changed.task_id
  `.execute(db)
}

function leaseOf({ taskId, fence }: LeaseRef): LeaseRef {
  return { taskId, fence }
}
