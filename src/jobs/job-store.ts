import type { ErrorCode } from '#lib/errors.ts'
import type {
  AttemptRow,
  JobId,
  JobRow,
  JobState,
  NodeLoad,
  NodeRow,
  NodeState,
  Priority,
  Queue,
  TaskId,
  TaskKind,
  TaskRow,
} from './model.ts'

/** A task to be made. `key` names it among those of its job; `after` are keys of tasks that must be done before. */
export type NewTask = {
  readonly kind: TaskKind
  readonly rendition: string
  readonly chunk: number
  readonly after: readonly string[]
  /** Capabilities that a worker must have, such as `encoder:libx264`. */
  readonly needs: readonly string[]
  readonly cost: number
  readonly totalFrames: number
}

/** `kind/rendition/chunk`: unique within a job. */
export function taskKey({ kind, rendition, chunk }: Pick<NewTask, 'kind' | 'rendition' | 'chunk'>): string {
  return `${kind}/${rendition}/${chunk}`
}

export type NewJob = {
  readonly id: JobId
  readonly tenant: string
  readonly scenario: string
  readonly queue: Queue
  readonly priority: Priority
  readonly label: string | undefined
  readonly input: unknown
  readonly idempotencyKey: string | undefined
  /** Of W3C Trace Context; undefined: its submission was not traced. */
  readonly traceparent?: string | undefined
  /** From now. */
  readonly deadlineMs: number | undefined
  readonly firstTask: NewTask
}

export type NewNode = Pick<NodeRow, 'id' | 'name' | 'version' | 'roles' | 'slots' | 'capabilities'> & {
  /** Slots that only live jobs may use. */
  readonly liveReserve: number
  readonly leaseMs: number
}

/** A worker as it speaks: of another epoch, it is another process and has no say. */
export type WorkerRef = { readonly nodeId: string; readonly epoch: number }
export type LeaseRef = { readonly taskId: TaskId; readonly fence: number }

/** What a worker says of a task that it holds. `frames` only grows within an attempt: when it does, the task is alive. */
export type HeldTask = LeaseRef & { readonly frames: number; readonly speed: number }

export type Heartbeat = WorkerRef & {
  readonly leaseMs: number
  readonly load: NodeLoad | undefined
  readonly held: readonly HeldTask[]
}

/** `isKnown` false: the lease has run out or the epoch is old; the worker drops all it has and registers anew. */
export type HeartbeatAnswer = {
  readonly isKnown: boolean
  readonly state: NodeState
  /** Tasks to be stopped: their jobs were canceled, or somebody else has them. */
  readonly stop: readonly LeaseRef[]
}

/** A task that was given to a worker, with what is needed to say what is to be done. */
export type ClaimedTask = Pick<
  TaskRow,
  'id' | 'jobId' | 'kind' | 'rendition' | 'chunk' | 'fence' | 'attempt' | 'cost' | 'totalFrames'
> & {
  readonly queue: Queue
}

/** What orders of tasks follow from. */
export type JobPapers = Pick<JobRow, 'id' | 'scenario' | 'input' | 'plan'>
/** With the trace that its tasks go on with. */
export type ClaimedPapers = JobPapers & Pick<NewJob, 'traceparent'>

export type Completion = LeaseRef & {
  readonly output: unknown
  /** Of a `probe`: what the job consists of, and its tasks. They are inserted in the transaction that completes the probe. */
  readonly expansion?: { readonly plan: unknown; readonly tasks: readonly NewTask[] }
  /** Of the last task of a job: what is published with it. */
  readonly result?: unknown
}

/** `done`: it counts. `repeated`: it counted before, with the same fence. `fenced`: the task is not this worker's (any more). */
export type CompletionVerdict = 'done' | 'repeated' | 'fenced'

export type Failure = LeaseRef & {
  /**
   * `transient`: tried again after a while, up to the limit. `terminal`: the job fails. `released`: given back by a worker that stops; nothing is counted.
   * `input`: the tasks of `badInputs` are done again, this one after them; counted as a transient failure of them. `rejected`: the job asks for what cannot be.
   */
  readonly kind: 'transient' | 'terminal' | 'released' | 'input' | 'rejected'
  readonly code: ErrorCode
  readonly message: string
  readonly badInputs?: readonly TaskId[]
}

/** What became of jobs: each change of state once, for events and metrics. */
export type JobChange = {
  readonly jobId: JobId
  readonly tenant: string
  readonly scenario: string
  readonly queue: Queue
  readonly from: JobState
  readonly to: JobState
  readonly errorCode: string | undefined
  readonly errorMessage: string | undefined
  readonly createdAtMs: number
  readonly startedAtMs: number | undefined
  /** As the job was submitted. */
  readonly traceparent: string | undefined
}

/** What a transaction brought about besides its answer. `readyCount`: tasks that became ready: somebody who waits for work should ask again. */
export type Effects = { readonly changes: readonly JobChange[]; readonly readyCount: number }

export type JobQuery = {
  readonly states?: readonly JobState[]
  readonly queue?: Queue
  readonly tenant?: string
  readonly scenario?: string
  /** Part of id or label. */
  readonly search?: string
  readonly limit: number
  /** `sequence` of the last one of the page before. */
  readonly before?: number
}

/** Limits and times of the scheduler, in milliseconds; tests make them short. */
export type SchedulerPolicy = {
  readonly maxAttempts: number
  /** Workers that a task may lose before it is taken for poison. */
  readonly maxLost: number
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  /** Frames that stand still for so long: the attempt is given up. */
  readonly staleMs: Readonly<Record<Queue, number>>
  /** A task that the database says a worker holds and the worker does not, for so long, goes back: the answer to its claim was lost. */
  readonly unheldMs: number
  /** A waiting task gains a rank each so often, down to `firstWaitingRank`. */
  readonly ageMs: number
}

/**
 * Jobs, tasks and nodes in the database. Every method is one transaction, safe to repeat after a lost answer, and set-based; times are the database's clock. All
 * fail with `DATABASE_UNAVAILABLE` while the database is away. `test/conformance/job-store-suite.ts` holds both databases to it.
 */
export interface JobStore {
  // Jobs
  /** `isNew` false: the tenant has a job with this idempotency key, which is given back. */
  submit(job: NewJob): Promise<{ readonly job: JobRow; readonly tasks: readonly TaskRow[]; readonly isNew: boolean } & Effects>
  findJob(id: JobId): Promise<JobRow | undefined>
  /** Newest first. */
  listJobs(query: JobQuery): Promise<readonly JobRow[]>
  listTasks(jobId: JobId): Promise<readonly TaskRow[]>
  listAttempts(jobId: JobId): Promise<readonly AttemptRow[]>
  /** What tasks that are done left: by kind, rendition, chunk. */
  outputsOf(jobId: JobId): Promise<readonly Pick<TaskRow, 'id' | 'kind' | 'rendition' | 'chunk' | 'output'>[]>
  /** Tasks that wait are canceled at once, those with a worker when it hears of it (its next heartbeat). A job that is over stays as it is. */
  cancel(id: JobId): Promise<{ readonly job: JobRow | undefined } & Effects>
  /** A new generation of a job that is over and not completed: what is done stays done, the rest is tried again. Undefined: there is none, or it is not over. */
  retry(id: JobId): Promise<{ readonly job: JobRow | undefined } & Effects>
  /** Jobs that were over before this time are forgotten, a bounded number at once; gives their ids back. */
  prune(request: { readonly finishedBeforeMs: number; readonly limit: number }): Promise<readonly JobId[]>
  /** Jobs that are over and whose intermediate objects were not yet removed. */
  findUncleaned(limit: number): Promise<readonly { readonly id: JobId; readonly state: JobState; readonly result: unknown }[]>
  markCleaned(ids: readonly JobId[]): Promise<void>

  // Nodes
  /** A node that registers again has another epoch: tasks of the process before are lost to it. */
  registerNode(node: NewNode): Promise<{ readonly epoch: number } & Effects>
  heartbeat(beat: Heartbeat): Promise<HeartbeatAnswer & Effects>
  listNodes(): Promise<readonly NodeRow[]>
  /** `draining`: it finishes what it has and gets nothing new. Undefined: no such node. */
  setNodeState(id: string, state: 'active' | 'draining'): Promise<NodeRow | undefined>
  /** Forgets a node that is lost or has nothing; false: it is there and working. */
  removeNode(id: string): Promise<boolean>

  // Work
  /** Up to `max` tasks that fit into the worker's free slots and capabilities, best rank first, with what their jobs say. Empty also when its lease has run out. */
  claim(request: WorkerRef & { readonly max: number }): Promise<
    {
      readonly isKnown: boolean
      readonly tasks: readonly ClaimedTask[]
      readonly papers: ReadonlyMap<JobId, ClaimedPapers>
    } & Effects
  >
  /** Many at once, of any workers. */
  complete(requests: readonly (WorkerRef & Completion)[]): Promise<{ readonly verdicts: readonly CompletionVerdict[] } & Effects>
  /** False: the task is not this worker's. */
  fail(request: WorkerRef & Failure): Promise<{ readonly isTaken: boolean } & Effects>

  // Duties
  /** Ends leases of lost workers and stale tasks, and jobs whose deadline has passed. A bounded number at once. */
  sweep(): Promise<{ readonly lost: number; readonly stale: number } & Effects>
  /**
   * After the database was away for so long that leases ran out or are about to: all begin anew once, so that workers which went on working are not taken for
   * lost before they are heard.
   */
  forgiveOutage(leaseMs: number): Promise<void>
  age(): Promise<void>
  /** Term of the holder, while it holds the duty. */
  takeDuty(request: { readonly name: string; readonly holder: string; readonly ttlMs: number }): Promise<number | undefined>
  /** For metrics and the page of the queue. */
  counts(): Promise<JobCounts>
  nowMs(): Promise<number>
}

export type JobCounts = {
  readonly jobs: Readonly<Record<JobState, number>>
  readonly readyTasks: Readonly<Record<Queue, number>>
  readonly leasedTasks: number
  /** Of the oldest ready task. */
  readonly oldestReadyMs: number | undefined
  readonly nodes: Readonly<Record<NodeState, NodeCounts>>
}

/** How many workers, and their slots. */
export type NodeCounts = { readonly count: number; readonly slots: number; readonly usedSlots: number }
