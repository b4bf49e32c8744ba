import type { AppError } from '#lib/errors.ts'
import type { HeldTask, LeaseRef, WorkerRef } from '../job-store.ts'
import type { WorkerTask } from '../worker-protocol.ts'
import type { Slots } from './slots.ts'
import { TaskRun, type RunDeps, type RunOutcome, type StopReason } from './task-run.ts'

/** The attempts of a worker that are under way, each with the slots that it takes. */
export class RunningTasks {
  readonly #slots: Slots
  readonly #deps: RunDeps
  readonly #onEnded: (run: TaskRun, outcome: RunOutcome) => void
  readonly #runs = new Map<string, { readonly run: TaskRun; readonly ended: Promise<void> }>()

  constructor({ slots, deps, onEnded }: { slots: Slots; deps: RunDeps; onEnded: (run: TaskRun, outcome: RunOutcome) => void }) {
    this.#slots = slots
    this.#deps = deps
    this.#onEnded = onEnded
  }

  get size(): number {
    return this.#runs.size
  }
  /** In the order in which they began. */
  get runs(): TaskRun[] {
    return [...this.#runs.values()].map(({ run }) => run)
  }
  get held(): HeldTask[] {
    return this.runs.map(({ held }) => held)
  }

  /** A lease that is here already is not begun twice; an older one of the same task has lost. */
  start(task: WorkerTask, worker: WorkerRef): void {
    const key = keyOf(task)
    if (this.#runs.has(key)) return
    for (const { run } of this.#runs.values()) if (run.task.taskId === task.taskId) run.stop('replaced')
    const slots = this.#slots.take(task.cost)
    const run = new TaskRun(task, worker, this.#deps)
    const ended = run.ended.then((outcome) => {
      this.#runs.delete(key)
      slots[Symbol.dispose]()
      this.#onEnded(run, outcome)
    })
    this.#runs.set(key, { run, ended })
  }

  stop(leases: readonly LeaseRef[], reason: StopReason): void {
    for (const lease of leases) this.#runs.get(keyOf(lease))?.run.stop(reason)
  }

  stopAll(reason: StopReason): void {
    for (const { run } of this.#runs.values()) run.stop(reason)
  }

  /** Ends the attempt that began last: the others have come further. */
  giveUpNewest(error: AppError): void {
    this.runs.at(-1)?.giveUp(error)
  }

  /** Resolves when all that run now have ended. */
  async whenEnded(): Promise<void> {
    await Promise.all([...this.#runs.values()].map(({ ended }) => ended))
  }
}

function keyOf({ taskId, fence }: LeaseRef): string {
  return `${taskId}.${fence}`
}
