import { sql, type RawBuilder } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { Completion, CompletionVerdict, Effects, NewTask, WorkerRef } from '../job-store.ts'
import type { JobId, TaskId } from '../model.ts'
import { noEffects, type Fleet } from './sql-fleet.ts'
import { insertTasks, type TasksOfJob } from './sql-insert-tasks.ts'
import { JobLedger } from './sql-job-ledger.ts'
import { lockNodes, lockTasksAndChildren, type TaskLock } from './sql-locks.ts'
import { inTransaction, loadNowMs, writeTogether, type Session } from './sql-session.ts'
import { TaskLedger } from './sql-task-ledger.ts'

export type CompletionRequest = WorkerRef & Completion
type Answer = { readonly verdicts: readonly CompletionVerdict[] } & Effects

/** Tasks of a new plan, with the numbers of their classes. */
type Expansion = {
  readonly task: TaskLock
  readonly plan: unknown
  readonly tasks: readonly NewTask[]
  readonly classIds: readonly number[]
}

/** Many completions in one transaction of a few statements, however many they are. */
export async function completeTasks(fleet: Fleet, requests: readonly CompletionRequest[]): Promise<Answer> {
  if (requests.length === 0) return { verdicts: [], ...noEffects }
  const classIds: (readonly number[])[] = []
  for (const { expansion } of requests) {
    classIds.push(expansion ? await fleet.classes.idsOf(expansion.tasks.map(({ needs }) => needs)) : [])
  }
  return await inTransaction(fleet.database, async (session) => {
    const nodes = await lockNodes(
      session,
      requests.map(({ nodeId }) => nodeId),
    )
    const taskIds = [...new Set(requests.map(({ taskId }) => taskId))]
    const { tasks, children } = await lockTasksAndChildren(session, taskIds)
    const now = nodes.size > 0 ? Math.max(...[...nodes.values()].map((node) => node.now)) : await loadNowMs(session)
    const jobs = await JobLedger.lock(session, jobsOf(taskIds, tasks), now)
    const ledger = new TaskLedger({ session, now, policy: fleet.policy, nodes, tasks, jobs })
    const expansions: Expansion[] = []
    const results = new Map<JobId, unknown>()
    const verdicts = requests.map((request, at): CompletionVerdict => {
      const { taskId, output, expansion, result } = request
      const task = ledger.find(taskId)
      const verdict = judge(request, task)
      if (verdict !== 'done' || !task) return verdict
      if (jobs.isOver(task.job_id)) {
        ledger.endAttempt(task, { outcome: 'canceled' })
        return 'fenced'
      }
      ledger.complete(task, { output: JSON.stringify(output ?? null), children: children.get(taskId) ?? [] })
      if (expansion) expansions.push({ task, ...expansion, classIds: classIds[at] ?? [] })
      if (result !== undefined) results.set(task.job_id, result)
      return verdict
    })
    const added = addPlans(expansions, jobs)
    const plans = new Map(expansions.map(({ task, plan }) => [task.job_id, plan]))
    const { writes, changes } = jobs.settle()
    const documents = [...writeDocuments(session, 'plan', plans), ...writeDocuments(session, 'result', results)]
    const isLast = added.every((job) => job.tasks.length === 0)
    await writeTogether(session, [...ledger.writes, ...documents, ...writes], { isLast })
    // Last: submits wait for the fair shares that this takes.
    const done = expansions.map(({ task }) => ledger.find(task.id) ?? task)
    const addedCount = isLast ? 0 : await insertTasks(session, { now, jobs: added, known: done })
    return { verdicts, changes, readyCount: ledger.readyCount + addedCount }
  })
}

function judge({ nodeId, epoch, fence }: CompletionRequest, task: Readonly<TaskLock> | undefined): CompletionVerdict {
  const isHis = task?.fence === fence && task.node_id === nodeId && task.node_epoch === epoch
  if (!isHis) return 'fenced'
  if (task.state === 'leased') return 'done'
  return task.state === 'done' ? 'repeated' : 'fenced'
}

function jobsOf(taskIds: readonly TaskId[], tasks: ReadonlyMap<TaskId, TaskLock>): JobId[] {
  return taskIds.flatMap((id) => tasks.get(id)?.job_id ?? [])
}

/** Counts the tasks of new plans; they are yet to be inserted. */
function addPlans(expansions: readonly Expansion[], jobs: JobLedger): TasksOfJob[] {
  return expansions.flatMap(({ task, tasks, classIds }) => {
    const tenant = jobs.find(task.job_id)?.tenant
    if (tenant === undefined) return []
    jobs.add(task.job_id, { tasks: tasks.length, totalFrames: tasks.reduce((sum, { totalFrames }) => sum + totalFrames, 0) })
    return [{ jobId: task.job_id, tenant, rank: task.base_rank, tasks, classIds }]
  })
}

function writeDocuments(
  { dialect }: Session,
  column: 'plan' | 'result',
  documents: ReadonlyMap<JobId, unknown>,
): RawBuilder<unknown>[] {
  if (documents.size === 0) return []
  const changes = rowSet(dialect, [...documents], {
    changed_id: ['text', ([id]) => id],
    document: ['text', ([, document]) => JSON.stringify(document ?? null)],
  })
  return [sql`update job_documents set ${sql.ref(column)} = document from ${changes} as changed where job_id = changed_id`]
}
