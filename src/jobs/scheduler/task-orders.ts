import { AppError } from '#lib/errors.ts'
import { liveOrder } from './live-order.ts'
import type { ClaimedTask, JobPapers, JobStore, WorkerRef } from '../job-store.ts'
import type { JobId } from '../model.ts'
import type { JobInput, JobSource, Scenario } from '../scenario.ts'
import { parseInput, parsePlan } from './stored-values.ts'
import { orderOf, type OrderInput, type TaskOrder } from './task-order.ts'
import type { JobMedia, WorkerAccess } from './worker-access.ts'

type Deps = {
  readonly store: Pick<JobStore, 'findJob' | 'outputsOf' | 'listNodes'>
  readonly scenarios: FoundScenarios
  readonly media: JobMedia
}

/** What this needs of the registry of scenarios. */
export interface FoundScenarios {
  find(name: string): Promise<{ readonly scenario: Scenario } | undefined>
}

type Task = Pick<ClaimedTask, 'id' | 'jobId' | 'kind' | 'rendition' | 'chunk'>

/** Loads what orders follow from. */
export class TaskOrders {
  readonly #deps: Deps

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** The order of a task, with the source of its job. Throws what the source's owner throws. */
  async order(
    task: Task,
    { worker, access, job }: { worker: WorkerRef; access: WorkerAccess; job: JobPapers },
  ): Promise<TaskOrder & { readonly source: JobSource }> {
    const input = parseInput(job.input, { jobId: job.id })
    const order = task.kind === 'live' ? await this.#live(job, input, { worker, access }) : await this.#fromPlan(task, job, input)
    return { ...order, source: input.source }
  }

  /** What a task reads: enough to give fresh addresses. */
  async findInputs(task: Task): Promise<{ readonly inputs: readonly OrderInput[]; readonly source: JobSource }> {
    const job = await this.#loadJob(task.jobId)
    const input = parseInput(job.input, { jobId: job.id })
    if (task.kind === 'live') return { inputs: [], source: input.source }
    const { inputs } = await this.#fromPlan(task, job, input)
    return { inputs, source: input.source }
  }

  async #fromPlan(task: Task, job: JobPapers, input: JobInput): Promise<TaskOrder> {
    const outputs = task.kind === 'package' ? await this.#deps.store.outputsOf(job.id) : []
    return orderOf({ task, input, plan: () => parsePlan(job.plan, { jobId: job.id }), outputs })
  }

  async #live(
    { scenario: name }: JobPapers,
    input: JobInput,
    from: { worker: WorkerRef; access: WorkerAccess },
  ): Promise<TaskOrder> {
    const { scenarios, media, store } = this.#deps
    const found = await scenarios.find(name)
    if (found === undefined) {
      throw new AppError('SCENARIO_NOT_FOUND', `scenario "${name}" was removed; submit the job with another one`)
    }
    const workers = (await store.listNodes()).filter(({ id }) => id === from.worker.nodeId)
    return { spec: await liveOrder({ scenario: found.scenario, input, media, host: from.access.host, workers }), inputs: [] }
  }

  async #loadJob(id: JobId): Promise<JobPapers> {
    const job = await this.#deps.store.findJob(id)
    if (job === undefined) throw new AppError('JOB_NOT_FOUND', `job ${id} is gone`)
    return job
  }
}
