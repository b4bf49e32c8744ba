import { sql, type RawBuilder } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import { projectJob, type JobNews } from '../job-projection.ts'
import type { JobChange } from '../job-store.ts'
import { isTerminal, type JobId, type JobState } from '../model.ts'
import { jobColumns, lockJobs, type JobLock } from './sql-locks.ts'
import { cleanText, parseJobState, parseQueue } from './sql-rows.ts'
import { writeTogether, type Session } from './sql-session.ts'

/** What happened to tasks of a job: differences of its counters, and facts for its state. */
export type JobDelta = {
  readonly leased?: number
  readonly done?: number
  readonly tasks?: number
  readonly frames?: number
  readonly totalFrames?: number
} & Partial<Pick<JobNews, 'isClaimed' | 'isMoving' | 'isFailed' | 'isReturned'>>

export type JobEnd = {
  readonly state: Extract<JobState, 'failed' | 'timed_out' | 'canceled' | 'rejected'>
  readonly errorCode?: string
  readonly errorMessage?: string
}

type Draft = { -readonly [Column in keyof JobLock]: JobLock[Column] } & { -readonly [Fact in FactName]: boolean }
type FactName = 'isClaimed' | 'isMoving' | 'isFailed' | 'isReturned'

/** The jobs that a transaction has locked: collects what happens to them, and writes each once, with the state that follows. */
export class JobLedger {
  readonly #session: Session
  readonly #now: number
  readonly #before: ReadonlyMap<JobId, JobLock>
  readonly #drafts = new Map<JobId, Draft>()

  static async lock(session: Session, ids: Iterable<JobId>, now: number): Promise<JobLedger> {
    return new JobLedger(session, await lockJobs(session, ids), now)
  }

  private constructor(session: Session, jobs: ReadonlyMap<JobId, JobLock>, now: number) {
    this.#session = session
    this.#before = jobs
    this.#now = now
  }

  find(id: JobId): JobLock | undefined {
    return this.#drafts.get(id) ?? this.#before.get(id)
  }

  /** True also for one that is gone. */
  isOver(id: JobId): boolean {
    const job = this.find(id)
    return !job || isTerminal(parseJobState(job.state))
  }

  add(id: JobId, delta: JobDelta): void {
    const draft = this.#draft(id)
    if (!draft) return
    draft.leased_count += delta.leased ?? 0
    draft.done_count += delta.done ?? 0
    draft.task_count += delta.tasks ?? 0
    draft.frames += delta.frames ?? 0
    draft.total_frames += delta.totalFrames ?? 0
    draft.isClaimed ||= delta.isClaimed ?? false
    draft.isMoving ||= delta.isMoving ?? false
    draft.isFailed ||= delta.isFailed ?? false
    draft.isReturned ||= delta.isReturned ?? false
  }

  /** Ends a job that is not over; of several ends the first counts. */
  end(id: JobId, { state, errorCode, errorMessage }: JobEnd): void {
    const draft = this.#draft(id)
    if (!draft || isTerminal(parseJobState(draft.state))) return
    draft.state = state
    draft.error_code = errorCode ?? null
    draft.error_message = errorMessage === undefined ? null : cleanText(errorMessage)
    if (state === 'canceled') draft.is_cancel_requested = 1
  }

  /** Ids of jobs that end with this transaction, not by success. */
  get ended(): readonly JobId[] {
    return [...this.#drafts.values()].filter((draft) => this.#isNewlyOver(draft)).map(({ id }) => id)
  }

  /** Writes all; gives the changes of state. */
  async save(): Promise<readonly JobChange[]> {
    const { writes, changes } = this.settle()
    await writeTogether(this.#session, writes)
    return changes
  }

  /** What is to be written, and the changes of state that it makes. */
  settle(): { readonly writes: readonly RawBuilder<unknown>[]; readonly changes: readonly JobChange[] } {
    for (const draft of this.#drafts.values()) this.#settle(draft)
    const drafts = [...this.#drafts.values()].filter((draft) => this.#isChanged(draft))
    if (drafts.length === 0) return { writes: [], changes: [] }
    const changed = rowSet(this.#session.dialect, drafts, {
      job_id: ['text', (job) => job.id],
      new_state: ['text', (job) => job.state],
      new_error_code: ['text', (job) => job.error_code],
      new_error_message: ['text', (job) => job.error_message],
      new_cancel: ['bigint', (job) => job.is_cancel_requested],
      new_started: ['bigint', (job) => job.started_at_ms],
      new_finished: ['bigint', (job) => job.finished_at_ms],
      new_tasks: ['bigint', (job) => job.task_count],
      new_done: ['bigint', (job) => job.done_count],
      new_leased: ['bigint', (job) => job.leased_count],
      new_frames: ['bigint', (job) => job.frames],
      new_total_frames: ['bigint', (job) => job.total_frames],
    })
    const write = sql`
      update jobs set state = new_state, error_code = new_error_code, error_message = new_error_message,
        is_cancel_requested = new_cancel, started_at_ms = new_started, finished_at_ms = new_finished, task_count = new_tasks,
        done_count = new_done, leased_count = new_leased, frames = new_frames, total_frames = new_total_frames
      from ${changed} as changed where jobs.id = changed.job_id
    `
    return { writes: [write], changes: drafts.flatMap((draft) => this.#changeOf(draft)) }
  }

  #draft(id: JobId): Draft | undefined {
    const found = this.#drafts.get(id)
    if (found) return found
    const job = this.#before.get(id)
    if (!job) return undefined
    const draft = { ...job, isClaimed: false, isMoving: false, isFailed: false, isReturned: false }
    this.#drafts.set(id, draft)
    return draft
  }

  #settle(draft: Draft): void {
    const { leased_count: leasedCount, isClaimed, isMoving, isFailed, isReturned } = draft
    const isAllDone = draft.done_count === draft.task_count
    draft.state = projectJob(parseJobState(draft.state), { leasedCount, isAllDone, isClaimed, isMoving, isFailed, isReturned })
    if (isClaimed) draft.started_at_ms ??= this.#now
    if (this.#isNewlyOver(draft)) draft.finished_at_ms = this.#now
  }

  #isNewlyOver(draft: Draft): boolean {
    const before = this.#before.get(draft.id)
    return before !== undefined && isTerminal(parseJobState(draft.state)) && !isTerminal(parseJobState(before.state))
  }

  #isChanged(draft: Draft): boolean {
    const before = this.#before.get(draft.id)
    return before === undefined || jobColumns.some((column) => before[column] !== draft[column])
  }

  #changeOf(draft: Draft): JobChange[] {
    const before = this.#before.get(draft.id)
    return before && before.state !== draft.state ? [changeOf(draft, parseJobState(before.state))] : []
  }
}

export function changeOf(job: JobLock, from: JobState): JobChange {
  return {
    jobId: job.id,
    tenant: job.tenant,
    scenario: job.scenario,
    queue: parseQueue(job.queue),
    from,
    to: parseJobState(job.state),
    errorCode: job.error_code ?? undefined,
    errorMessage: job.error_message ?? undefined,
    createdAtMs: job.created_at_ms,
    startedAtMs: job.started_at_ms ?? undefined,
    traceparent: job.traceparent ?? undefined,
  }
}
