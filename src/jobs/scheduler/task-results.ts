/** What follows when a worker says that a task is done. Pure, but for the planner, which is pure, too. */
import { AppError, toAppError } from '#lib/errors.ts'
import type { SourceProbe } from '#codec/transcoding.ts'
import type { Completion, Failure, NewTask } from '../job-store.ts'
import { attemptPrefix } from './job-objects.ts'
import type { JobId } from '../model.ts'
import type { FleetWorker } from '../plan/encoder-choice.ts'
import type { JobPlan } from '../plan/plan.ts'
import type { JobInput, Scenario } from '../scenario.ts'
import type { Lease } from '../sql/sql-task-leases.ts'
import type { JobResult, StoredFile, StoredOutput } from './stored-values.ts'
import type { TaskOutput } from '../worker-protocol.ts'

/** From a probe to the tasks of a job. Throws `UNSUPPORTED` or `REQUEST_INVALID` with the reason. */
export type PlanJob = (request: {
  readonly scenario: Scenario
  readonly input: JobInput
  readonly probe: SourceProbe
  readonly jobId: JobId
  /** Who is there to do it. */
  readonly workers: readonly FleetWorker[]
}) => { readonly plan: JobPlan; readonly tasks: readonly NewTask[] }

/** The result of a task: it counts, or it does not hold what it should. */
export type TaskResult =
  | { readonly kind: 'completed'; readonly completion: Completion }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** What a plan is made from, besides the probe. */
export type PlannableJob = {
  readonly input: JobInput
  readonly scenarioName: string
  /** Undefined: it was removed since the job was submitted. */
  readonly scenario: Scenario | undefined
  readonly workers: readonly FleetWorker[]
}

type ResultRequest = {
  readonly lease: Lease
  readonly output: TaskOutput
  readonly files: readonly StoredFile[]
  /** For a probe. */
  readonly loadJob: () => Promise<PlannableJob>
  readonly planJob: PlanJob
}

/** Throws `REQUEST_INVALID` for the output of another kind of task. */
export async function taskResult(request: ResultRequest): Promise<TaskResult> {
  const { lease, output, files } = request
  if (output.kind !== lease.kind) {
    throw new AppError('REQUEST_INVALID', `task ${lease.id} is of kind ${lease.kind}; its output is of kind ${output.kind}`)
  }
  const stored: StoredOutput = { output, files: [...files] }
  const base = { taskId: lease.id, fence: lease.fence, output: stored }
  switch (output.kind) {
    case 'probe':
      return await expand(request, output.probe)
    case 'package':
      return publish(request, output.facts)
    case 'video':
    case 'audio':
      if (files.length === 1) return { kind: 'completed', completion: base }
      return failed(lease, 'ENCODE_DAMAGED', `task ${lease.id} left ${files.length} files, it should be one`)
    case 'pictures':
    case 'live':
      return { kind: 'completed', completion: base }
    default:
      return output satisfies never
  }
}

/** What the job consists of follows from its source: a job that cannot be is rejected, with the reason. */
async function expand({ lease, output, loadJob, planJob }: ResultRequest, probe: SourceProbe): Promise<TaskResult> {
  const { input, scenario, scenarioName, workers } = await loadJob()
  if (scenario === undefined) {
    return rejected(
      lease,
      new AppError(
        'SCENARIO_NOT_FOUND',
        `scenario "${scenarioName}" was removed before the job began; submit it with another one`,
      ),
    )
  }
  try {
    const expansion = planJob({ scenario, input, probe, jobId: lease.jobId, workers })
    const completion = { taskId: lease.id, fence: lease.fence, output: { output, files: [] }, expansion }
    return { kind: 'completed', completion }
  } catch (error) {
    return rejected(lease, toAppError(error))
  }
}

type PackageOutput = Extract<TaskOutput, { kind: 'package' }>

/** Everything that the playlists name must have been put. */
function publish({ lease, output, files }: ResultRequest, facts: PackageOutput['facts']): TaskResult {
  const put = new Map(files.map(({ name, sizeBytes }) => [name, sizeBytes]))
  const wrong = facts.files.find(({ name, sizeBytes }) => put.get(name) !== sizeBytes)
  if (wrong !== undefined) {
    const found = put.get(wrong.name)
    const what = found === undefined ? 'was not put' : `has ${found} bytes in place of ${wrong.sizeBytes}`
    return failed(lease, 'ENCODE_DAMAGED', `file "${wrong.name}" of job ${lease.jobId} ${what}; nothing is published`)
  }
  if (!put.has(facts.entry)) {
    return failed(
      lease,
      'ENCODE_DAMAGED',
      `job ${lease.jobId} has no file "${facts.entry}", which players open; nothing is published`,
    )
  }
  const result: JobResult = { prefix: attemptPrefix(lease), ...facts }
  // The files are in the result; once is enough.
  const completion = { taskId: lease.id, fence: lease.fence, output: { output, files: [] }, result }
  return { kind: 'completed', completion }
}

function rejected({ id, fence }: Lease, { code, message }: AppError): TaskResult {
  return { kind: 'failed', failure: { taskId: id, fence, kind: 'rejected', code, message } }
}

function failed({ id, fence }: Lease, code: 'ENCODE_DAMAGED', message: string): TaskResult {
  return { kind: 'failed', failure: { taskId: id, fence, kind: 'terminal', code, message } }
}
