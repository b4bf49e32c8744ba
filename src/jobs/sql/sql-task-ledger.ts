import type { RawBuilder } from 'kysely'
import { afterAttempt } from '../attempt-end.ts'
import type { SchedulerPolicy } from '../job-store.ts'
import { firstWaitingRank, type AttemptOutcome, type TaskId } from '../model.ts'
import type { JobLedger } from './sql-job-ledger.ts'
import { countedFrames, type NodeLock, type TaskLock } from './sql-locks.ts'
import { cleanText } from './sql-rows.ts'
import { writeTogether, type Session } from './sql-session.ts'
import { writeAttempts, writeSlots, writeTasks, type AttemptWrite, type SlotsWrite, type TaskWrite } from './sql-task-writes.ts'

export type AttemptFault = {
  readonly outcome: Exclude<AttemptOutcome, 'done'>
  readonly code?: string
  readonly message?: string
}

type Draft = Mutable<TaskWrite>
type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

/**
 * The tasks that a transaction has locked, with nodes and jobs that they belong to: collects what becomes of them, and writes each table once. Slots
 * of nodes and counters of jobs follow.
 */
export class TaskLedger {
  readonly #session: Session
  readonly #now: number
  readonly #policy: SchedulerPolicy
  readonly #nodes: ReadonlyMap<string, NodeLock>
  readonly #jobs: JobLedger
  readonly #tasks: ReadonlyMap<TaskId, TaskLock>
  readonly #drafts = new Map<TaskId, Draft>()
  readonly #attempts: AttemptWrite[] = []
  readonly #slots = new Map<string, Mutable<SlotsWrite>>()
  #readyCount = 0

  constructor({
    session,
    now,
    policy,
    nodes,
    tasks,
    jobs,
  }: {
    session: Session
    now: number
    policy: SchedulerPolicy
    nodes: ReadonlyMap<string, NodeLock>
    tasks: ReadonlyMap<TaskId, TaskLock>
    jobs: JobLedger
  }) {
    this.#session = session
    this.#now = now
    this.#policy = policy
    this.#nodes = nodes
    this.#tasks = tasks
    this.#jobs = jobs
  }

  find(id: TaskId): Readonly<TaskLock> | undefined {
    return this.#drafts.get(id) ?? this.#tasks.get(id)
  }

  /** Tasks that became ready, and may be claimed at once. */
  get readyCount(): number {
    return this.#readyCount
  }

  /** A task that is with a worker is done; `children` are the tasks that wait for it. */
  complete(task: TaskLock, { output, children }: { output: string; children: readonly TaskId[] }): void {
    this.#finishAttempt(task, { outcome: 'done' })
    // Of a live job nobody knew how many there would be.
    const frames = task.total_frames > 0 ? task.total_frames : task.frames
    this.#jobs.add(task.job_id, { leased: -1, done: 1, frames: frames - task.frames, isMoving: true })
    const draft = this.#draft(task)
    draft.state = 'done'
    draft.frames = frames
    draft.finished_at_ms = this.#now
    draft.output = output
    draft.error_code = null
    draft.error_message = null
    for (const id of children) this.#release(id)
  }

  /** A task that is with a worker is not any more, and not done. Failed for good, it ends its job; in a job that is over it is canceled. */
  endAttempt(task: TaskLock, fault: AttemptFault): 'again' | 'failed' | 'canceled' {
    this.#finishAttempt(task, fault)
    const draft = this.#draft(task)
    const { outcome } = fault
    const next = afterAttempt(
      {
        taskId: task.id,
        fence: task.fence,
        attempt: task.attempt,
        lostCount: task.lost_count,
        isBlocked: draft.deps_left > 0,
        isLive: task.kind === 'live',
        frames: task.frames,
      },
      this.#jobs.isOver(task.job_id) ? 'canceled' : outcome,
      this.#policy,
    )
    draft.attempt = next.attempt
    draft.lost_count = next.lostCount
    if (fault.code !== undefined) draft.error_code = fault.code
    if (fault.message !== undefined) draft.error_message = cleanText(fault.message)
    this.#jobs.add(task.job_id, {
      leased: -1,
      frames: -countedFrames(task, task.frames),
      isFailed: outcome === 'transient' || outcome === 'stale' || outcome === 'input',
      isReturned: outcome === 'lost' || outcome === 'released',
    })
    if (next.state === 'ready') {
      this.#makeReady(draft, next.delayMs)
      return 'again'
    }
    draft.state = next.state
    draft.frames = 0
    if (next.state === 'blocked') return 'again'
    draft.finished_at_ms = this.#now
    return next.state
  }

  /** A task that was done must be done again: its file is damaged. `parent` first, then the attempt of the child that found out. */
  redo(
    parent: TaskLock,
    { children, code, message }: { children: readonly TaskId[]; code: string; message: string },
  ): 'again' | 'failed' {
    this.#jobs.add(parent.job_id, { done: -1, frames: -countedFrames(parent, parent.frames), isFailed: true })
    const draft = this.#draft(parent)
    draft.output = null
    draft.error_code = code
    draft.error_message = cleanText(message)
    for (const id of children) this.#block(id)
    if (parent.attempt < this.#policy.maxAttempts) {
      this.#makeReady(draft, 0)
      return 'again'
    }
    draft.state = 'failed'
    draft.frames = 0
    return 'failed'
  }

  async save(): Promise<void> {
    await writeTogether(this.#session, this.writes)
  }

  get writes(): readonly RawBuilder<unknown>[] {
    const { dialect } = this.#session
    return [
      ...writeTasks(dialect, [...this.#drafts.values()]),
      ...writeAttempts(dialect, this.#attempts, this.#now),
      ...writeSlots(dialect, [...this.#slots.values()]),
    ]
  }

  #draft(task: TaskLock): Draft {
    const found = this.#drafts.get(task.id)
    if (found) return found
    const draft = { ...task, output: undefined }
    this.#drafts.set(task.id, draft)
    return draft
  }

  /** Gives the slots back, if the node is still the one that took them. */
  #finishAttempt(
    task: TaskLock,
    { outcome, code, message }: AttemptFault | { outcome: 'done'; code?: string; message?: string },
  ): void {
    this.#attempts.push({ task, outcome, code: code ?? null, message: message === undefined ? null : cleanText(message) })
    const draft = this.#draft(task)
    draft.held_slots = 0
    draft.speed = 0
    draft.held_at_ms = null
    draft.progress_at_ms = null
    const node = task.node_id === null ? undefined : this.#nodes.get(task.node_id)
    if (!node || node.epoch !== task.node_epoch) return
    const slots = this.#slots.get(node.id) ?? { nodeId: node.id, used: node.used_slots, live: node.live_slots }
    slots.used -= task.held_slots
    if (task.base_rank < firstWaitingRank) slots.live -= task.held_slots
    this.#slots.set(node.id, slots)
  }

  #makeReady(draft: Draft, delayMs: number): void {
    draft.state = 'ready'
    draft.frames = 0
    draft.finished_at_ms = null
    draft.run_after_ms = this.#now + delayMs
    draft.aged_at_ms = draft.run_after_ms
    draft.is_due = delayMs === 0 ? 1 : 0
    if (delayMs === 0) this.#readyCount += 1
  }

  #release(childId: TaskId): void {
    const child = this.find(childId)
    if (!child) return
    const draft = this.#draft(child)
    draft.deps_left -= 1
    if (draft.deps_left === 0 && draft.state === 'blocked') this.#makeReady(draft, 0)
  }

  #block(childId: TaskId): void {
    const child = this.find(childId)
    if (!child) return
    const draft = this.#draft(child)
    draft.deps_left += 1
    if (draft.state === 'ready') draft.state = 'blocked'
  }
}
