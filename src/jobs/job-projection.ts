import { isTerminal, type JobState } from './model.ts'

/** What a transaction did to the tasks of a job. */
export type JobNews = {
  /** Tasks that are with workers after it. */
  readonly leasedCount: number
  readonly isAllDone: boolean
  /** A worker got a task. */
  readonly isClaimed: boolean
  /** A worker said that it has a task, or did one. */
  readonly isMoving: boolean
  /** An attempt failed and will be repeated. */
  readonly isFailed: boolean
  /** A task went back without a fault of its own: its worker is gone, or stops. */
  readonly isReturned: boolean
}

/**
 * The state of a job that follows from what happened to its tasks; ends other than `completed` are decided elsewhere. A job that waits (`queued`,
 * `retrying`) has no task with a worker. Between two tasks a job stays `running`, so that its state does not flicker.
 */
export function projectJob(state: JobState, news: JobNews): JobState {
  if (isTerminal(state)) return state
  if (news.isAllDone) return 'completed'
  if (state === 'queued' || state === 'retrying') return news.isClaimed ? 'assigned' : state
  if (news.leasedCount === 0 && news.isFailed) return 'retrying'
  if (news.leasedCount === 0 && news.isReturned) return 'queued'
  return news.isMoving ? 'running' : state
}
