/**
 * Jobs from their submit to their result. Every node runs one, all alike: what is true is in the database, and what is told between nodes are hints.
 *
 *   routes ─► Scheduler ─┬─► submission ─► store          jobs and nodes, for people
 *                        ├─► Dispatch ─► store, objects   work, for workers
 *                        ├─► Duties ─► sweep, age, clean, prune
 *                        └─► JobChanges ─► events, metrics, hints ─► WaitingClaims of all nodes
 */
import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { Dispatch, type DispatchDeps, type DispatchObjects } from './dispatch.ts'
import { Duties } from './duties.ts'
import { JobChanges, type JobEventSink, type JobObserver } from './job-changes.ts'
import type { CleanedObjects } from './job-cleaning.ts'
import type { JobHints } from './job-hints.ts'
import type { JobStore, NewJob } from '../job-store.ts'
import type { JobId, JobRow, NodeRow, TaskRow } from '../model.ts'
import { Outages } from './outages.ts'
import { schedulerDuties } from './scheduler-duties.ts'
import { FleetWatch } from './fleet-watch.ts'
import { neededObjects, newJob, type JobRequest } from './submission.ts'
import type { Logger } from '#lib/log.ts'
import { silentTracer, type Tracer } from '#lib/tracing.ts'
import type { Timers } from '#lib/timers.ts'
import type { Scenario } from '../scenario.ts'
import type { FoundScenarios } from './task-orders.ts'
import { parseInput } from './stored-values.ts'
import { WaitingClaims } from './waiting-claims.ts'

/** Times and limits of this node's part, besides the policy of the store. */
export type SchedulerSettings = {
  readonly leaseMs: number
  readonly heartbeatMs: number
  /** A job is forgotten so long after its end. */
  readonly retentionMs: number
  /** Jobs that are not over; beyond, new ones are refused. */
  readonly maxWaitingJobs: number
}

export type SchedulerDeps = Pick<DispatchDeps, 'leases' | 'media' | 'planJob' | 'logs'> & {
  readonly scenarios: FoundScenarios & { require(name: string): Promise<{ readonly scenario: Scenario }> }
  readonly store: JobStore
  readonly objects: DispatchObjects & CleanedObjects
  readonly events: JobEventSink
  readonly observer: JobObserver
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer | undefined
  /** Makes the hints of this node; what becomes ready on any node goes to `onReady`. */
  readonly hints: (onReady: (readyCount: number) => void) => JobHints
  readonly settings: SchedulerSettings
  /** Of this process: another one after each start. */
  readonly nodeId: string
  readonly newId: () => string
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
}

export class Scheduler implements AsyncDisposable {
  /** For workers. */
  readonly work: Dispatch
  /** Figures, for metrics and the page of the queue. */
  readonly fleet: FleetWatch
  readonly #deps: SchedulerDeps
  readonly #changes: JobChanges
  readonly #waiting: WaitingClaims
  readonly #hints: JobHints
  readonly #duties: Duties

  constructor(deps: SchedulerDeps) {
    const { store, objects, events, observer, tracer = silentTracer, clock, timers, log, settings } = deps
    this.#deps = deps
    this.#waiting = new WaitingClaims({ clock, timers })
    this.#hints = deps.hints((readyCount) => this.#waiting.hint(readyCount))
    this.#changes = new JobChanges({
      events,
      observer,
      tracer,
      onReady: (readyCount) => this.#hints.announce(readyCount),
      nowMs: () => clock.nowMs(),
      log,
    })
    const outages = new Outages({ store, leaseMs: settings.leaseMs, clock })
    const changes = this.#changes
    this.work = new Dispatch({ ...deps, ...settings, changes, outages, waiting: this.#waiting })
    this.fleet = new FleetWatch({ store, timers, waiting: this.#waiting })
    const duties = schedulerDuties({ store, objects, outages, changes, ...settings })
    this.#duties = new Duties({ duties, store, holder: deps.nodeId, timers, clock, log })
  }

  /** Begins with duties and looks for work that nobody hinted at. */
  start(): void {
    this.#duties.start()
    this.fleet.start()
  }

  /** Names of the duties that this node holds. */
  get duties(): readonly string[] {
    return this.#duties.held
  }

  /** Everybody who waits is answered; what is under way ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting.close()
    await this.fleet[Symbol.asyncDispose]()
    await this.#duties[Symbol.asyncDispose]()
    await this.#hints[Symbol.asyncDispose]()
  }

  /**
   * `isNew` false: the tenant has a job with this idempotency key, which is given back. Throws `SCENARIO_NOT_FOUND`, `REQUEST_INVALID`, `OBJECT_NOT_FOUND` for a
   * source that is not there, `JOB_LIMIT`.
   */
  async submit(
    request: JobRequest,
  ): Promise<{ readonly job: JobRow; readonly tasks: readonly TaskRow[]; readonly isNew: boolean }> {
    const { store, scenarios, newId } = this.#deps
    const { scenario } = await scenarios.require(request.scenario)
    this.#checkLimit()
    const nodes = scenario.kind === 'live' ? await store.listNodes() : []
    const workers = nodes.filter(({ state }) => state === 'active')
    const wanted = newJob(request, { id: newId(), scenario, workers })
    await this.#checkObjects(wanted)
    const { job, tasks, isNew, ...effects } = await store.submit(wanted)
    this.#changes.apply(effects)
    if (isNew) this.#changes.submitted(job)
    return { job, tasks, isNew }
  }

  /** Throws `JOB_NOT_FOUND`. */
  async requireJob(id: JobId): Promise<JobRow> {
    return (await this.#deps.store.findJob(id)) ?? missingJob(id)
  }

  /** A job that is over stays as it is. Throws `JOB_NOT_FOUND`. */
  async cancel(id: JobId): Promise<JobRow> {
    const { job, ...effects } = await this.#deps.store.cancel(id)
    this.#changes.apply(effects)
    return job ?? missingJob(id)
  }

  /** Throws `JOB_NOT_FOUND`, and `JOB_STATE_INVALID` for a job that is completed or not over. */
  async retry(id: JobId): Promise<JobRow> {
    const { job, ...effects } = await this.#deps.store.retry(id)
    this.#changes.apply(effects)
    if (job !== undefined) return job
    const { state } = await this.requireJob(id)
    const advice = state === 'completed' ? 'submit it again to make it anew' : 'cancel it first'
    throw new AppError(
      'JOB_STATE_INVALID',
      `job ${id} is ${state}; only one that failed, timed out or was canceled can be retried: ${advice}`,
    )
  }

  /** `draining`: the worker finishes what it has and gets nothing new. Throws `NODE_NOT_FOUND`. */
  async setNodeState(id: string, state: 'active' | 'draining'): Promise<NodeRow> {
    const node = await this.#deps.store.setNodeState(id, state)
    if (node === undefined) throw missingNode(id)
    if (state === 'draining') this.#changes.nodeChanged('node.draining', node)
    // It may have room for what waits.
    else this.#waiting.hint(1)
    return node
  }

  /** Throws `NODE_NOT_FOUND`. */
  async requireNode(id: string): Promise<NodeRow> {
    const node = (await this.#deps.store.listNodes()).find((row) => row.id === id)
    if (node === undefined) throw missingNode(id)
    return node
  }

  /** Throws `NODE_NOT_FOUND`, and `NODE_BUSY` for one that is there and working. */
  async removeNode(id: string): Promise<void> {
    await this.requireNode(id)
    if (await this.#deps.store.removeNode(id)) return
    throw new AppError('NODE_BUSY', `worker "${id}" has tasks; drain it, and remove it when they are done`)
  }

  #checkLimit(): void {
    const { maxWaitingJobs } = this.#deps.settings
    const waiting = this.fleet.openJobs
    if (waiting >= maxWaitingJobs) {
      throw new AppError(
        'JOB_LIMIT',
        `${waiting} jobs are not over, and ${maxWaitingJobs} are allowed; repeat later, or raise jobs.maxWaitingJobs`,
      )
    }
  }

  /** An object store that is away is no reason to refuse a job: it will be back when the job's turn comes. */
  async #checkObjects({ id, input }: NewJob): Promise<void> {
    for (const key of neededObjects(parseInput(input, { jobId: id }))) {
      try {
        await this.#deps.objects.head(key)
      } catch (error) {
        if (toAppError(error).code !== 'OBJECTS_UNAVAILABLE') throw error
      }
    }
  }
}

function missingJob(id: JobId): never {
  throw new AppError(
    'JOB_NOT_FOUND',
    `no job has the id "${id}"; it may have been forgotten, GET /api/v1/jobs lists those that are kept`,
  )
}

function missingNode(id: string): AppError {
  return new AppError('NODE_NOT_FOUND', `no worker has the id "${id}"; GET /api/v1/nodes lists them`)
}
