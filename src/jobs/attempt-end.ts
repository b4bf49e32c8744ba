import type { SchedulerPolicy } from './job-store.ts'
import type { AttemptOutcome, TaskState } from './model.ts'

export type EndedAttempt = {
  readonly taskId: number
  readonly fence: number
  /** Which one it was, from 1. */
  readonly attempt: number
  readonly lostCount: number
  readonly isBlocked: boolean
  /** A live stream has no end: it is encoded again whenever it can be. */
  readonly isLive: boolean
  /** Frames that it moved. */
  readonly frames: number
}

export type NextStep = {
  readonly state: Exclude<TaskState, 'leased' | 'done'>
  /** Attempts that count against the limit. */
  readonly attempt: number
  readonly lostCount: number
  /** Before it may be claimed. */
  readonly delayMs: number
}

/**
 * What becomes of a task whose attempt ended without success. A fault counts as an attempt, the loss of a worker as a loss, the rest as nothing. Of a live
 * stream faults have no limit, and one that had a picture begins to count anew.
 */
export function afterAttempt(
  task: EndedAttempt,
  outcome: Exclude<AttemptOutcome, 'done'>,
  policy: Pick<SchedulerPolicy, 'maxAttempts' | 'maxLost' | 'retryFirstMs' | 'retryMaxMs'>,
): NextStep {
  const { isLive } = task
  const isFresh = isLive && task.frames > 0
  const [attempt, lostCount] = isFresh ? [1, 0] : [task.attempt, task.lostCount]
  const again = task.isBlocked ? 'blocked' : 'ready'
  const uncounted = attempt - 1
  switch (outcome) {
    case 'transient':
    case 'stale':
      return attempt >= policy.maxAttempts && !isLive
        ? { state: 'failed', attempt, lostCount, delayMs: 0 }
        : { state: again, attempt, lostCount, delayMs: retryDelayMs({ ...task, attempt }, policy) }
    case 'lost':
      return lostCount + 1 >= policy.maxLost
        ? { state: 'failed', attempt: uncounted, lostCount: lostCount + 1, delayMs: 0 }
        : { state: again, attempt: uncounted, lostCount: lostCount + 1, delayMs: 0 }
    case 'released':
    case 'input':
      return { state: again, attempt: uncounted, lostCount, delayMs: 0 }
    case 'terminal':
      return { state: 'failed', attempt, lostCount, delayMs: 0 }
    case 'canceled':
      return { state: 'canceled', attempt, lostCount, delayMs: 0 }
    default:
      return outcome satisfies never
  }
}

/** Doubles with each attempt up to the limit; spread by a fifth, so that tasks which failed together do not come back together. */
function retryDelayMs(
  { taskId, fence, attempt }: EndedAttempt,
  { retryFirstMs, retryMaxMs }: Pick<SchedulerPolicy, 'retryFirstMs' | 'retryMaxMs'>,
): number {
  const delayMs = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(attempt - 1, 30))
  // Any fixed mix of the two numbers will do; this one is even.
  const share = ((taskId * 2654435761 + fence * 40503) % 1000) / 1000
  return Math.round(delayMs * (0.8 + 0.4 * share))
}
