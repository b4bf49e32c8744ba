import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { PartUpload } from '#store/objects/part-upload.ts'
import { partUpload } from '#store/objects/part-upload.ts'
import { Completions } from './completions.ts'
import { GatheredReads } from '../gathered-reads.ts'
import { failureKindOf, parseErrorCode } from './failure-kinds.ts'
import type { JobChanges, JobObserver } from './job-changes.ts'
import type { JobLogs } from './job-logs.ts'
import { attemptPrefix } from './job-objects.ts'
import type { ClaimedPapers, ClaimedTask, Failure, JobStore, LeaseRef, WorkerRef } from '../job-store.ts'
import type { NodeRow } from '../model.ts'
import type { Outages } from './outages.ts'
import type { Lease } from '../sql/sql-task-leases.ts'
import { parseInput, type StoredFile } from './stored-values.ts'
import { inputFile, type InputObjects } from './task-inputs.ts'
import { TaskOrders, type FoundScenarios } from './task-orders.ts'
import { taskResult, type PlanJob } from './task-results.ts'
import type { WaitingClaims } from './waiting-claims.ts'
import type { JobMedia, WorkerAccess } from './worker-access.ts'
import type {
  ClaimReply,
  CompleteMessage,
  FailMessage,
  FinishedUpload,
  HeartbeatMessage,
  HeartbeatReply,
  InputFile,
  Register,
  Registered,
  TaskLogLine,
  Upload,
  WorkerTask,
} from '../worker-protocol.ts'

/** What this needs of the object store. */
export interface DispatchObjects extends InputObjects {
  beginParts(key: string, options: { readonly sizeBytes: number; readonly contentType?: string }): Promise<PartUpload>
  completeParts(upload: PartUpload, etags: readonly string[]): Promise<void>
}

export type DispatchDeps = {
  readonly store: JobStore
  readonly leases: { find(ref: WorkerRef & LeaseRef): Promise<Lease | undefined> }
  readonly objects: DispatchObjects
  readonly media: JobMedia
  readonly scenarios: FoundScenarios
  readonly planJob: PlanJob
  readonly logs: JobLogs
  readonly changes: JobChanges
  readonly observer: JobObserver
  readonly outages: Outages
  readonly waiting: WaitingClaims
  readonly clock: Clock
  readonly leaseMs: number
  readonly heartbeatMs: number
}

type ClaimWish = { readonly max: number; readonly waitMs: number; readonly access: WorkerAccess; readonly signal: AbortSignal }
type FileWish = { readonly name: string; readonly sizeBytes: number; readonly contentType: string }

const nothing: ClaimReply = { isKnown: true, tasks: [] }

/**
 * What workers ask for: work, places for files, and that what they did counts. All of it is safe to repeat after a lost answer. Rejects with
 * `DATABASE_UNAVAILABLE` while the database is away.
 */
export class Dispatch {
  readonly #deps: DispatchDeps
  readonly #orders: TaskOrders
  readonly #completions: Completions
  /** All of them: one read for all plans that are made at a time. */
  readonly #nodes: GatheredReads<undefined, readonly NodeRow[]>

  constructor(deps: DispatchDeps) {
    this.#deps = deps
    this.#orders = new TaskOrders(deps)
    this.#nodes = new GatheredReads(async (asked) => {
      const nodes = await deps.store.listNodes()
      return asked.map(() => nodes)
    })
    this.#completions = new Completions({ store: deps.store, onEffects: (effects) => deps.changes.apply(effects) })
  }

  async register(message: Register): Promise<Registered> {
    const { store, outages, changes, leaseMs, heartbeatMs } = this.#deps
    const { epoch, ...effects } = await outages.guard(() => store.registerNode({ ...message, roles: ['worker'], leaseMs }))
    changes.apply(effects)
    changes.nodeChanged('node.registered', message)
    return { epoch, leaseMs, heartbeatMs }
  }

  async heartbeat(nodeId: string, { epoch, load, held }: HeartbeatMessage): Promise<HeartbeatReply> {
    const { store, outages, changes, leaseMs } = this.#deps
    const beat = { nodeId, epoch, leaseMs, load, held }
    const { isKnown, state, stop, ...effects } = await outages.guard(() => store.heartbeat(beat))
    changes.apply(effects)
    return { isKnown, state, stop: stop.map(({ taskId, fence }) => ({ taskId, fence })) }
  }

  /** Waits until there is work, up to `waitMs`. What was claimed for somebody who has gone meanwhile is given back at once. */
  claim(worker: WorkerRef, { max, waitMs, access, signal }: ClaimWish): Promise<ClaimReply> {
    const { waiting } = this.#deps
    const isGone = (): boolean => signal.aborted
    const ask = async () => {
      if (isGone()) return { answer: nothing, taken: 0, isFinal: true }
      const { isKnown, claimed, papers } = await this.#claim(worker, max)
      const prepared = await Promise.all(
        claimed.map((task) => this.#prepare(worker, task, { access, job: papers.get(task.jobId) })),
      )
      const tasks = prepared.filter((task) => task !== undefined)
      if (isGone()) await this.release(worker, tasks)
      return { answer: { isKnown, tasks }, taken: claimed.length, isFinal: !isKnown }
    }
    return waiting.claim(ask, { waitMs, signal })
  }

  /** Where the files of a task go. Throws `TASK_FENCED`. */
  async openUploads(
    ref: WorkerRef & LeaseRef,
    { files, access }: { files: readonly FileWish[]; access: WorkerAccess },
  ): Promise<Upload[]> {
    const lease = await this.#lease(ref)
    const prefix = attemptPrefix(lease)
    return await Promise.all(
      files.map(async ({ name, sizeBytes, contentType }) => {
        const upload = await this.#deps.objects.beginParts(prefix + name, { sizeBytes, contentType })
        return await uploadView(name, upload, access)
      }),
    )
  }

  /** A fresh address of an input of a task. Throws `TASK_FENCED`, `REQUEST_INVALID` when the task has no such input. */
  async findInput(ref: WorkerRef & LeaseRef, { name, access }: { name: string; access: WorkerAccess }): Promise<InputFile> {
    const { inputs, source } = await this.#orders.findInputs(await this.#lease(ref))
    const input = inputs.find((candidate) => candidate.name === name)
    if (input === undefined) throw new AppError('REQUEST_INVALID', `task ${ref.taskId} has no input "${name}"`)
    return await inputFile(this.#deps, { input, source, access })
  }

  async complete(ref: WorkerRef & LeaseRef, { output, uploads }: CompleteMessage): Promise<'done' | 'repeated' | 'fenced'> {
    const { leases, planJob } = this.#deps
    const lease = await leases.find(ref)
    // Whether it counted before is for the database to say.
    if (lease === undefined) return await this.#completions.complete({ ...ref, output: undefined })
    const files = await this.#keepFiles(lease, uploads)
    if (files === undefined) {
      const message = `files of task ${lease.id} did not arrive whole; they are made again`
      await this.#fail(ref, { ...ref, kind: 'transient', code: 'OBJECTS_UNAVAILABLE', message })
      return 'fenced'
    }
    const loadJob = () => this.#loadPlannable(lease)
    const result = await taskResult({ lease, output, files, loadJob, planJob })
    if (result.kind === 'completed') return await this.#completions.complete({ ...ref, ...result.completion })
    // The task is over, as the worker wanted: what is wrong is told with the job.
    return (await this.#fail(ref, result.failure)) ? 'done' : 'fenced'
  }

  /** False: the task is not this worker's any more. */
  async fail(ref: WorkerRef & LeaseRef, { code: text, message, badInputs = [] }: FailMessage): Promise<boolean> {
    const code = parseErrorCode(text)
    const known = code === text ? message : `${text}: ${message}`
    const named = badInputs.length > 0 ? await this.#ownInputs(ref, badInputs) : []
    const kind = failureKindOf(code, { hasBadInputs: named.length > 0 })
    return await this.#fail(ref, { ...ref, kind, code, message: known, ...(kind === 'input' ? { badInputs: named } : {}) })
  }

  /** Nothing is counted: others do it. */
  async release(worker: WorkerRef, held: readonly LeaseRef[]): Promise<void> {
    for (const { taskId, fence } of held) {
      const message = `worker ${worker.nodeId} gave it back`
      await this.#fail(worker, { taskId, fence, kind: 'released', code: 'SHUTTING_DOWN', message })
    }
  }

  addLogs(worker: WorkerRef, lines: readonly TaskLogLine[]): Promise<void> {
    return this.#deps.logs.append(worker, lines)
  }

  async #claim(worker: WorkerRef, max: number) {
    const { store, outages, changes, observer, clock } = this.#deps
    const startedAtMs = clock.monotonicMs()
    const { isKnown, tasks: claimed, papers, ...effects } = await outages.guard(() => store.claim({ ...worker, max }))
    observer.claimed({ durationMs: clock.monotonicMs() - startedAtMs, taskCount: claimed.length })
    changes.apply(effects)
    return { isKnown, claimed, papers }
  }

  /** Undefined: its order cannot be given, which has been taken down as its failure. */
  async #prepare(
    worker: WorkerRef,
    task: ClaimedTask,
    { access, job }: { access: WorkerAccess; job: ClaimedPapers | undefined },
  ): Promise<WorkerTask | undefined> {
    const { id: taskId, jobId, rendition, chunk, fence, attempt, cost, totalFrames } = task
    try {
      if (job === undefined) throw new AppError('JOB_NOT_FOUND', `job ${jobId} is gone`)
      const { spec, inputs, source } = await this.#orders.order(task, { worker, access, job })
      const files = await Promise.all(inputs.map((input) => inputFile(this.#deps, { input, source, access })))
      const { traceparent } = job
      const order = { taskId, jobId, rendition, chunk, fence, attempt, cost, totalFrames, spec, inputs: files }
      return { ...order, ...(traceparent !== undefined && { traceparent }) }
    } catch (error) {
      const { code, message } = toAppError(error)
      const kind = failureKindOf(code, { hasBadInputs: false })
      await this.#fail(worker, { taskId, fence, kind, code, message })
      return undefined
    }
  }

  async #fail(worker: WorkerRef, failure: Failure): Promise<boolean> {
    const { store, changes } = this.#deps
    const { nodeId, epoch } = worker
    const { isTaken, ...effects } = await store.fail({ nodeId, epoch, ...failure })
    changes.apply(effects)
    return isTaken
  }

  async #lease(ref: WorkerRef & LeaseRef): Promise<Lease> {
    const lease = await this.#deps.leases.find(ref)
    if (lease !== undefined) return lease
    throw new AppError('TASK_FENCED', `task ${ref.taskId} is not with worker ${ref.nodeId} any more; stop working on it`)
  }

  /** Makes objects of uploads. Undefined: parts are missing. */
  async #keepFiles(lease: Lease, uploads: readonly FinishedUpload[]): Promise<StoredFile[] | undefined> {
    const prefix = attemptPrefix(lease)
    try {
      return await Promise.all(
        uploads.map(async ({ name, uploadId, etags, sizeBytes }) => {
          const key = prefix + name
          await this.#deps.objects.completeParts(partUpload({ key, uploadId, sizeBytes }), etags)
          return { name, key, sizeBytes }
        }),
      )
    } catch (error) {
      const { code } = toAppError(error)
      if (code === 'TRUNCATED' || code === 'OBJECT_NOT_FOUND') return undefined
      throw error
    }
  }

  async #loadPlannable({ jobId, input, scenario }: Lease) {
    const { scenarios } = this.#deps
    const [found, nodes] = await Promise.all([scenarios.find(scenario), this.#nodes.get(undefined)])
    return {
      input: parseInput(input, { jobId }),
      scenarioName: scenario,
      scenario: found?.scenario,
      workers: nodes.filter(({ state }) => state === 'active'),
    }
  }

  /** Of the tasks that a worker blames those that are of the same job. */
  async #ownInputs(ref: WorkerRef & LeaseRef, badInputs: readonly number[]): Promise<number[]> {
    const lease = await this.#deps.leases.find(ref)
    if (lease === undefined) return []
    const made = new Set((await this.#deps.store.outputsOf(lease.jobId)).map(({ id }) => id))
    return badInputs.filter((id) => made.has(id))
  }
}

/** Where the parts of a file go, as a client gets it. */
export async function uploadView(name: string, upload: PartUpload, { urls }: Pick<WorkerAccess, 'urls'>): Promise<Upload> {
  const { uploadId, partBytes, partCount } = upload
  const partUrls = await Promise.all(Array.from({ length: partCount }, (_, part) => urls.put(upload, part)))
  return { name, uploadId, partBytes, partUrls }
}
