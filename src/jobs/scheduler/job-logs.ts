import type { WorkerRef } from '../job-store.ts'
import type { JobId, TaskId } from '../model.ts'
import type { TaskLogLine } from '../worker-protocol.ts'

/** The least important first. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/** `id` grows with each line. */
export type StoredLogLine = {
  readonly id: number
  readonly taskId: TaskId
  readonly atMs: number
  readonly level: LogLevel
  readonly text: string
}

export type JobLogQuery = {
  readonly jobId: JobId
  readonly taskId?: TaskId
  readonly minLevel?: LogLevel
  /** `id` of the last line of the page before. */
  readonly after?: number
  readonly limit: number
  /** The last `limit` lines in place of the first. */
  readonly isTail: boolean
}

/** What workers say of their tasks: kept with the job, bounded for each job. */
export interface JobLogs {
  /** Lines of a worker that is not known any more, and of tasks that are forgotten, are dropped. */
  append(worker: WorkerRef, lines: readonly TaskLogLine[]): Promise<void>
  /** Oldest first. */
  list(query: JobLogQuery): Promise<readonly StoredLogLine[]>
}
