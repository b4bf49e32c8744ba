/** The words of the job fleet as data: what a job, a task and a node are, and what may follow what. */

export const queues = ['live', 'default', 'batch'] as const
export type Queue = (typeof queues)[number]
export const priorities = ['high', 'medium', 'low'] as const
export type Priority = (typeof priorities)[number]

/** Order of claims, 0 first: live before default before batch, and high before medium before low within each. */
export function rankOf(queue: Queue, priority: Priority): number {
  return queues.indexOf(queue) * priorities.length + priorities.indexOf(priority)
}
/** Ranks below this belong to live jobs; waiting never lifts another job among them. */
export const firstWaitingRank = priorities.length

export const jobStates = [
  'queued',
  'assigned',
  'running',
  'retrying',
  'completed',
  'failed',
  'timed_out',
  'canceled',
  'rejected',
] as const
export type JobState = (typeof jobStates)[number]

/**
 * What may follow a state.
 *
 *   queued ─► assigned ─► running ─► completed
 *     │          ▲  ╲       │ ▲
 *     │          │   retrying ┘          any that is not terminal ─► failed, timed_out, canceled
 *     └─► rejected
 *
 * A terminal state is left only by a new generation, which begins `queued`.
 */
export const jobTransitions = {
  queued: ['assigned', 'canceled', 'failed', 'timed_out', 'rejected'],
  assigned: ['running', 'retrying', 'queued', 'completed', 'failed', 'timed_out', 'canceled', 'rejected'],
  running: ['completed', 'retrying', 'queued', 'failed', 'timed_out', 'canceled', 'rejected'],
  retrying: ['assigned', 'running', 'queued', 'failed', 'timed_out', 'canceled'],
  completed: [],
  failed: [],
  timed_out: [],
  canceled: [],
  rejected: [],
} as const satisfies Record<JobState, readonly JobState[]>

export function isTerminal(state: JobState): boolean {
  return jobTransitions[state].length === 0
}

export const taskKinds = ['probe', 'video', 'audio', 'pictures', 'package', 'live'] as const
export type TaskKind = (typeof taskKinds)[number]

/** A task for people: `chunk 3 of 480p`, `sound audio-0`, `probe`. Chunks are counted from 1, as everywhere where people read. */
export function describeTask({ kind, rendition, chunk }: { kind: string; rendition: string; chunk: number }): string {
  if (kind === 'video') return `chunk ${chunk + 1} of ${rendition}`
  return kind === 'audio' ? `sound ${rendition}` : `${kind} ${rendition}`.trim()
}

/** `blocked`: waits for other tasks; `ready`: for a worker; `leased`: a worker has it. */
export const taskStates = ['blocked', 'ready', 'leased', 'done', 'failed', 'canceled'] as const
export type TaskState = (typeof taskStates)[number]

/** How an attempt ended. `lost`: its worker was; `stale`: its frames stood still; `released`: the worker gave it back, stopping. */
export const attemptOutcomes = ['done', 'transient', 'terminal', 'lost', 'stale', 'canceled', 'released', 'input'] as const
export type AttemptOutcome = (typeof attemptOutcomes)[number]

export const nodeStates = ['active', 'draining', 'lost'] as const
export type NodeState = (typeof nodeStates)[number]

export type JobId = string
export type TaskId = number

/** A job as the database has it. Times are milliseconds since the epoch, by the database's clock. */
export type JobRow = {
  readonly id: JobId
  /** Grows with each submit; lists are in this order, newest first. */
  readonly sequence: number
  readonly tenant: string
  readonly scenario: string
  readonly queue: Queue
  readonly priority: Priority
  readonly state: JobState
  /** 1, and one more for each manual retry. */
  readonly generation: number
  readonly label: string | undefined
  /** What was submitted, checked: see `jobInputSchema`. */
  readonly input: unknown
  /** What the probe led to; see `plan/plan.ts`. */
  readonly plan: unknown
  /** What was published; see `jobResultSchema`. */
  readonly result: unknown
  readonly errorCode: string | undefined
  readonly errorMessage: string | undefined
  readonly isCancelRequested: boolean
  readonly deadlineAtMs: number | undefined
  readonly createdAtMs: number
  readonly startedAtMs: number | undefined
  readonly finishedAtMs: number | undefined
  /** Tasks of the present generation, by state. */
  readonly taskCount: number
  readonly doneCount: number
  /** Frames moved and frames planned, over all tasks that count frames. */
  readonly frames: number
  readonly totalFrames: number
}

export type TaskRow = {
  readonly id: TaskId
  readonly jobId: JobId
  readonly kind: TaskKind
  readonly rendition: string
  readonly chunk: number
  readonly state: TaskState
  readonly rank: number
  /** Slots that it takes. */
  readonly cost: number
  readonly needs: readonly string[]
  readonly attempt: number
  readonly lostCount: number
  readonly fence: number
  readonly nodeId: string | undefined
  readonly frames: number
  readonly totalFrames: number
  readonly speed: number
  readonly runAfterMs: number
  readonly leasedAtMs: number | undefined
  readonly finishedAtMs: number | undefined
  readonly output: unknown
  readonly errorCode: string | undefined
  readonly errorMessage: string | undefined
}

export type AttemptRow = {
  readonly taskId: TaskId
  readonly kind: TaskKind
  readonly rendition: string
  readonly chunk: number
  readonly fence: number
  readonly nodeId: string
  readonly outcome: AttemptOutcome
  readonly errorCode: string | undefined
  readonly errorMessage: string | undefined
  readonly startedAtMs: number
  readonly endedAtMs: number
}

/** Of a machine, as its worker last said. */
export type NodeLoad = { readonly cpuPercent: number; readonly memoryBytes: number; readonly freeDiskBytes: number }

/** A process of the fleet: one that has slots is a worker. */
export type NodeRow = {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly roles: readonly string[]
  readonly state: NodeState
  readonly epoch: number
  readonly slots: number
  readonly usedSlots: number
  readonly liveSlots: number
  readonly capabilities: readonly string[]
  readonly load: NodeLoad | undefined
  readonly registeredAtMs: number
  readonly seenAtMs: number
  readonly leaseUntilMs: number
}
