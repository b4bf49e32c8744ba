import type { Logger } from '#lib/log.ts'
import { traceFields, type Span, type Tracer } from '#lib/tracing.ts'
import type { Effects, JobChange } from '../job-store.ts'
import { isTerminal, type JobRow, type JobState, type NodeRow } from '../model.ts'

/** `subject` is `job/<id>` or `node/<id>`. */
export type JobEvent = { readonly type: string; readonly subject: string; readonly data: Readonly<Record<string, unknown>> }

/** Where events go; the platform's log of events fits. */
export interface JobEventSink {
  append(event: JobEvent): void
}

/** For metrics: what happened to jobs, as it happens. */
export interface JobObserver {
  /** Times are absent for a job that never began to run. */
  jobChanged(change: {
    readonly to: JobState
    readonly queue: string
    readonly waitMs?: number
    readonly durationMs?: number
  }): void
  /** How long it took to look for work in the database. */
  claimed(sample: { readonly durationMs: number; readonly taskCount: number }): void
}

/** `assigned` is told by `job.started` soon enough. */
const eventTypes: Record<JobState, string | undefined> = {
  queued: 'job.queued',
  assigned: undefined,
  running: 'job.started',
  retrying: 'job.retrying',
  completed: 'job.completed',
  failed: 'job.failed',
  timed_out: 'job.timed-out',
  canceled: 'job.canceled',
  rejected: 'job.rejected',
}

/** What the server's log says of it. */
const logMessages: Record<JobState, string | undefined> = {
  queued: 'job queued',
  assigned: undefined,
  running: 'job started',
  retrying: 'job retries',
  completed: 'job completed',
  failed: 'job failed',
  timed_out: 'job timed out',
  canceled: 'job canceled',
  rejected: 'job rejected',
}
const nodeMessages = {
  'node.registered': 'worker joined',
  'node.lost': 'worker lost',
  'node.draining': 'worker drains',
} as const

type Options = {
  readonly events: JobEventSink
  readonly observer: JobObserver
  readonly tracer: Tracer
  /** So many tasks became ready. */
  readonly onReady: (count: number) => void
  /** Wall time by the database's clock is not at hand; this one is near enough for metrics. */
  readonly nowMs: () => number
  readonly log: Logger
}

/** Tells the world what a transaction brought about. Never throws. */
export class JobChanges {
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  apply({ changes, readyCount }: Effects): void {
    for (const change of changes) this.#tell(change)
    if (readyCount > 0) this.#options.onReady(readyCount)
  }

  submitted({ id, tenant, scenario, queue }: Pick<JobRow, 'id' | 'tenant' | 'scenario' | 'queue'>): void {
    this.#options.observer.jobChanged({ to: 'queued', queue })
    this.#options.log.info({ jobId: id, tenant, scenario, queue }, logMessages.queued)
    this.#options.events.append({ type: 'job.queued', subject: `job/${id}`, data: { tenant, scenario, queue, to: 'queued' } })
  }

  nodeChanged(type: keyof typeof nodeMessages, { id, name, slots }: Pick<NodeRow, 'id' | 'name' | 'slots'>): void {
    this.#options.log[type === 'node.lost' ? 'warn' : 'info']({ nodeId: id, slots }, nodeMessages[type])
    this.#options.events.append({ type, subject: `node/${id}`, data: { name, slots } })
  }

  #tell(change: JobChange): void {
    const { jobId, tenant, scenario, queue, from, to, errorCode, errorMessage } = change
    const times = this.#times(change)
    this.#options.observer.jobChanged({ to, queue, ...times })
    const type = eventTypes[to]
    if (type === undefined) return
    const error = errorCode === undefined ? {} : { error: { code: errorCode, message: errorMessage ?? '' } }
    const span = isTerminal(to) ? this.#trace(change) : undefined
    const { waitMs, durationMs } = times
    this.#options.log[errorCode === undefined ? 'info' : 'warn'](
      {
        jobId,
        tenant,
        scenario,
        queue,
        ...(to === 'running' ? { waitMs } : { durationMs }),
        ...error.error,
        ...traceFields(span),
      },
      logMessages[to],
    )
    this.#options.events.append({ type, subject: `job/${jobId}`, data: { tenant, scenario, queue, from, to, ...error } })
  }

  /** A job as a whole, from its submission to its end. Whoever sees the end tells it, which need not be the node that took the job. */
  #trace({ jobId, tenant, scenario, queue, to, errorCode, errorMessage, createdAtMs, traceparent }: JobChange): Span {
    const span = this.#options.tracer.start('job', {
      parent: traceparent,
      startedAtMs: createdAtMs,
      attributes: {
        'millrace.job.id': jobId,
        'millrace.job.tenant': tenant,
        'millrace.job.scenario': scenario,
        'millrace.job.queue': queue,
        'millrace.job.state': to,
      },
    })
    if (errorCode !== undefined) span.fail(errorCode, errorMessage)
    span.end()
    return span
  }

  #times({ createdAtMs, startedAtMs }: JobChange): { waitMs?: number; durationMs?: number } {
    if (startedAtMs === undefined) return {}
    return {
      waitMs: Math.max(0, startedAtMs - createdAtMs),
      durationMs: Math.max(0, this.#options.nowMs() - startedAtMs),
    }
  }
}
