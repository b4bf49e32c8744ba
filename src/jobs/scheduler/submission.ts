/** From what a user asks for to a job: everything that can be said to be wrong before the source is read is said here. */
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import { liveStreams } from './live-order.ts'
import type { NewJob } from '../job-store.ts'
import type { JobId, Priority, Queue } from '../model.ts'
import type { FleetWorker } from '../plan/encoder-choice.ts'
import { probeTask } from '../plan/new-task.ts'
import { planLive } from '../plan/plan-live.ts'
import { jobInputSchema, type JobInput, type Scenario } from '../scenario.ts'

/** What is absent has its default. */
export type JobRequest = {
  readonly scenario: string
  readonly queue?: Queue | undefined
  readonly priority?: Priority | undefined
  readonly label?: string | undefined
  readonly tenant?: string | undefined
  readonly deadlineSeconds?: number | undefined
  readonly idempotencyKey?: string | undefined
  /** Of the request, when it is traced: the work on the job goes on with its trace. */
  readonly traceparent?: string | undefined
  /** Checked here: see `jobInputSchema`. */
  readonly input: unknown
}

/** Throws `REQUEST_INVALID` with the reason. */
export function newJob(
  request: JobRequest,
  { id, scenario, workers }: { readonly id: JobId; readonly scenario: Scenario; readonly workers: readonly FleetWorker[] },
): NewJob {
  const input = checkedInput(request.input, scenario)
  const isLive = scenario.kind === 'live'
  return {
    id,
    tenant: request.tenant ?? 'default',
    scenario: scenario.name,
    queue: request.queue ?? (isLive ? 'live' : 'default'),
    priority: request.priority ?? 'medium',
    label: request.label,
    input,
    idempotencyKey: request.idempotencyKey,
    traceparent: request.traceparent,
    deadlineMs: request.deadlineSeconds === undefined ? undefined : request.deadlineSeconds * 1000,
    firstTask: isLive ? planLive({ scenario, workers }).task : probeTask,
  }
}

/** Objects that the job needs to be there. */
export function neededObjects({ source, watermark }: JobInput): string[] {
  return [...('object' in source ? [source.object] : []), ...(watermark === undefined ? [] : [watermark.object])]
}

function checkedInput(value: unknown, scenario: Scenario): JobInput {
  const input = Value.Default(jobInputSchema, Value.Clone(value))
  if (!Value.Check(jobInputSchema, input)) {
    const [first] = Value.Errors(jobInputSchema, input)
    throw invalid(first?.instancePath.slice(1).replaceAll('/', '.') ?? 'source', first?.message ?? 'is not understood')
  }
  if (scenario.kind === 'live') checkLive(input)
  else checkFilm(input, scenario)
  return input
}

function checkLive(input: JobInput): void {
  liveStreams(input)
  for (const field of ['clip', 'crop', 'watermark'] as const) {
    if (input[field] !== undefined) throw invalid(field, 'is not possible with a live scenario; leave it out')
  }
}

function checkFilm({ source, target, clip, crop, watermark }: JobInput, { name, renditions }: Scenario): void {
  if ('stream' in source) {
    throw invalid(
      'source.stream',
      `is for live scenarios, and "${name}" is none; name a recording of the stream, or another scenario`,
    )
  }
  if (target !== undefined) throw invalid('target', `is for live scenarios, and "${name}" is none; leave it out`)
  if ('recording' in source && Date.parse(source.recording.from) >= Date.parse(source.recording.to)) {
    throw invalid('source.recording.to', 'must be after `from`')
  }
  if (clip?.toSeconds !== undefined && clip.toSeconds <= clip.fromSeconds) {
    throw invalid('clip.toSeconds', 'must be after `fromSeconds`')
  }
  if (renditions.length > 0) return
  for (const [field, given] of Object.entries({ crop, watermark })) {
    if (given !== undefined) throw invalid(field, `needs a picture, and scenario "${name}" has none; leave it out`)
  }
}

function invalid(field: string, message: string): AppError {
  const path = `body.${field}`
  return new AppError('REQUEST_INVALID', `${path} ${message}`, { details: { issues: [{ path, message }] } })
}
