import type { RunOutcome, TaskRun } from './task-run.ts'

/** Who wants to know what a worker does, for metrics. */
export interface WorkerObserver {
  onTaskEnded(run: TaskRun, outcome: RunOutcome): void
  /** Of inputs, over the network. */
  onSourceBytes(bytes: number): void
  onHeartbeat(isAnswered: boolean): void
}

export const silentObserver: WorkerObserver = {
  onTaskEnded: () => undefined,
  onSourceBytes: () => undefined,
  onHeartbeat: () => undefined,
}
