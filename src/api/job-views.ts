/** Jobs, tasks and nodes as the API shows them. */
import type { StoredLogLine } from '#jobs/scheduler/job-logs.ts'
import type { JobCounts } from '#jobs/job-store.ts'
import { isTerminal, type AttemptRow, type JobRow, type NodeRow, type TaskRow } from '#jobs/model.ts'
import type { JobPlan } from '#jobs/plan/plan.ts'
import type { JobInput } from '#jobs/scenario.ts'
import type { ScenarioEntry } from '#jobs/scenarios/registry.ts'
import { withoutCredentials } from '#lib/log.ts'
import { findPlan, findResult, parseInput } from '#jobs/scheduler/stored-values.ts'
import type {
  AttemptView,
  JobCountsView,
  JobResult,
  JobSummary,
  JobView,
  LogLineView,
  NodeView,
  PlanView,
  ScenarioView,
  TaskView,
} from './job-contract.ts'

export function jobSummary(job: JobRow): JobSummary {
  const { id, sequence, tenant, scenario, queue, priority, state, generation, isCancelRequested } = job
  const { taskCount, doneCount, frames, totalFrames } = job
  return {
    id,
    sequence,
    tenant,
    scenario,
    queue,
    priority,
    state,
    isOver: isTerminal(state),
    isCancelRequested,
    generation,
    ...(job.label === undefined ? {} : { label: job.label }),
    input: inputView(parseInput(job.input, { jobId: id })),
    ...errorOf(job),
    ...(job.deadlineAtMs === undefined ? {} : { deadlineAt: time(job.deadlineAtMs) }),
    createdAt: time(job.createdAtMs),
    ...(job.startedAtMs === undefined ? {} : { startedAt: time(job.startedAtMs) }),
    ...(job.finishedAtMs === undefined ? {} : { finishedAt: time(job.finishedAtMs) }),
    taskCount,
    doneCount,
    frames,
    totalFrames,
    progress: progressOf(job),
  }
}

export function jobView(job: JobRow, tasks: readonly TaskRow[]): JobView {
  const plan = findPlan(job.plan)
  const result = resultView(job)
  const running = tasks.filter(({ state }) => state === 'leased')
  const secondsLeft = secondsLeftOf(job, running, plan)
  return {
    ...jobSummary(job),
    speed: running.reduce((sum, { speed }) => sum + speed, 0),
    ...(secondsLeft === undefined ? {} : { secondsLeft }),
    tasks: tasks.map(taskView),
    ...(plan === undefined ? {} : { plan: planView(plan) }),
    ...(result === undefined ? {} : { result }),
  }
}

export function taskView(task: TaskRow): TaskView {
  const { id, kind, rendition, chunk, state, cost, needs, attempt, lostCount, nodeId, frames, totalFrames, speed } = task
  return {
    id,
    kind,
    rendition,
    chunk,
    state,
    cost,
    needs: [...needs],
    attempt,
    lostCount,
    ...(nodeId === undefined ? {} : { nodeId }),
    frames,
    totalFrames,
    speed: state === 'leased' ? speed : 0,
    ...(state === 'ready' ? { runAfter: time(task.runAfterMs) } : {}),
    ...(task.leasedAtMs === undefined ? {} : { leasedAt: time(task.leasedAtMs) }),
    ...(task.finishedAtMs === undefined ? {} : { finishedAt: time(task.finishedAtMs) }),
    ...errorOf(task),
  }
}

export function attemptView(attempt: AttemptRow): AttemptView {
  const { taskId, kind, rendition, chunk, fence, nodeId, outcome, startedAtMs, endedAtMs } = attempt
  const times = { startedAt: time(startedAtMs), endedAt: time(endedAtMs) }
  return { taskId, kind, rendition, chunk, fence, nodeId, outcome, ...errorOf(attempt), ...times }
}

export function nodeView(node: NodeRow): NodeView {
  const { id, name, version, roles, state, epoch, slots, usedSlots, liveSlots, capabilities, load } = node
  return {
    id,
    name,
    version,
    roles: [...roles],
    state,
    epoch,
    slots,
    usedSlots,
    liveSlots,
    capabilities: [...capabilities],
    ...(load === undefined ? {} : { load }),
    registeredAt: time(node.registeredAtMs),
    seenAt: time(node.seenAtMs),
    leaseUntil: time(node.leaseUntilMs),
  }
}

export function scenarioView({ scenario, origin }: ScenarioEntry): ScenarioView {
  return { ...scenario, origin }
}

export function logLineView({ id, taskId, atMs, level, text }: StoredLogLine): LogLineView {
  return { id, taskId, at: time(atMs), level, text }
}

export function countsView({ jobs, readyTasks, leasedTasks, oldestReadyMs }: JobCounts): JobCountsView {
  return {
    jobs: { ...jobs },
    readyTasks: { ...readyTasks },
    leasedTasks,
    ...(oldestReadyMs === undefined ? {} : { oldestReadyMs }),
  }
}

/** Passwords in addresses are hidden. */
function inputView(input: JobInput): JobInput {
  const { source } = input
  return 'url' in source ? { ...input, source: { url: withoutCredentials(source.url) } } : input
}

/** What a player opens, on this server. */
function resultView({ id, result }: JobRow): JobResult | undefined {
  const found = findResult(result)
  if (found === undefined) return undefined
  const urlOf = (name: string): string => `/api/v1/jobs/${id}/files/${name}`
  return { ...found, entryUrl: urlOf(found.entry), files: found.files.map((file) => ({ ...file, url: urlOf(file.name) })) }
}

function planView({ probe, startMs, durationMs, renditions, audio, singlePiece }: JobPlan): PlanView {
  return {
    probe,
    startMs,
    durationMs,
    renditions: renditions.map(({ chunks, ...rendition }) => ({ ...rendition, chunkCount: chunks.length })),
    audio: audio.map(({ language, title, ...track }) => ({
      ...track,
      ...(language === undefined ? {} : { language }),
      ...(title === undefined ? {} : { title }),
    })),
    ...(singlePiece === undefined ? {} : { singlePiece }),
  }
}

/** Frames are nearly all of the work; what comes before and after them counts a little, so that 1 means that it is done. */
const framePart = 0.95

function progressOf({ state, frames, totalFrames, doneCount, taskCount }: JobRow): number {
  if (state === 'completed') return 1
  const byTasks = taskCount === 0 ? 0 : doneCount / taskCount
  // Before the probe nobody knows how much there is.
  if (taskCount <= 1) return 0
  const byFrames = totalFrames === 0 ? byTasks : Math.min(1, frames / totalFrames)
  return Math.min(0.999, byFrames * framePart + byTasks * (1 - framePart))
}

/** By how fast frames come now. */
function secondsLeftOf(
  { state, frames, totalFrames }: JobRow,
  running: readonly TaskRow[],
  plan: JobPlan | undefined,
): number | undefined {
  const timeline = plan?.renditions[0]?.timeline
  if (isTerminal(state) || timeline === undefined) return undefined
  const speed = running.reduce((sum, task) => sum + (task.totalFrames > 0 ? task.speed : 0), 0)
  const framesPerSecond = (speed * timeline.frameRate.num) / timeline.frameRate.den
  return framesPerSecond > 0 ? Math.max(0, totalFrames - frames) / framesPerSecond : undefined
}

function errorOf({ errorCode, errorMessage }: Pick<JobRow, 'errorCode' | 'errorMessage'>): {
  error?: { code: string; message: string }
} {
  return errorCode === undefined ? {} : { error: { code: errorCode, message: errorMessage ?? '' } }
}

function time(ms: number): string {
  return new Date(ms).toISOString()
}
