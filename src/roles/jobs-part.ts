import type { FleetServices } from '#api/server.ts'
import { AppError } from '#lib/errors.ts'
import { ObjectTransfers } from '#store/objects/transfers.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { Database } from '#store/sql/schema.ts'
import type { JobEventSink, JobObserver } from '#jobs/scheduler/job-changes.ts'
import type { FleetWatch } from '#jobs/scheduler/fleet-watch.ts'
import { jobHints } from '#jobs/scheduler/job-hints.ts'
import { planJob } from '#jobs/plan/plan-job.ts'
import { fileScenarios } from '#jobs/scenarios/file-scenarios.ts'
import { ScenarioRegistry } from '#jobs/scenarios/registry.ts'
import { sqlScenarioStore } from '#jobs/scenarios/scenario-store.ts'
import { Scheduler } from '#jobs/scheduler/scheduler.ts'
import { schedulerPolicy } from '#jobs/settings.ts'
import { sqlJobLogs } from '#jobs/sql/sql-job-logs.ts'
import { sqlJobStore } from '#jobs/sql/sql-job-store.ts'
import { TaskLeases } from '#jobs/sql/sql-task-leases.ts'
import type { JobMedia } from '#jobs/scheduler/worker-access.ts'
import type { Clock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import { systemTimers } from '#lib/timers.ts'
import type { Tracer } from '#lib/tracing.ts'
import { databaseUrl, type Settings } from './settings.ts'

/** A worker may move a file for so long after it was told where; it asks again when the time is over. */
const transferTtlSeconds = 3600

type Deps = {
  readonly settings: Settings
  readonly database: Database
  readonly objects: ObjectStore
  readonly secret: Buffer
  /** Absent: this node has no streams. */
  readonly media: JobMedia | undefined
  /** Absent: this node has no event log. */
  readonly events: JobEventSink | undefined
  readonly observer: JobObserver
  /** Undefined: nothing is traced. */
  readonly tracer: Tracer | undefined
  readonly clock: Clock
  readonly log: Logger
}

/** Jobs on this node: the control plane of the fleet, and what its routes work on. */
export type JobsPart = AsyncDisposable & { readonly services: FleetServices; readonly fleet: FleetWatch }

export async function openJobs({
  settings,
  database,
  objects,
  secret,
  media,
  events,
  observer,
  tracer,
  clock,
  log,
}: Deps): Promise<JobsPart> {
  const { jobs } = settings
  const store = sqlJobStore(database, schedulerPolicy(jobs))
  const stored = sqlScenarioStore(database.db, { nowMs: () => clock.nowMs() })
  const scenarios = new ScenarioRegistry({ file: fileScenarios(settings.scenarios), stored })
  const logs = sqlJobLogs(database)
  const nodeId = newId(clock.nowMs())
  const hints = await jobHints({ database, url: databaseUrl(settings), nodeId, timers: systemTimers, clock, log })
  const scheduler = new Scheduler({
    store,
    scenarios,
    logs,
    leases: new TaskLeases(database),
    objects,
    media: media ?? noMedia,
    planJob,
    events: events ?? { append: ({ type, subject, data }) => log.info({ type, subject, data }, 'event') },
    observer,
    tracer,
    hints,
    settings: {
      leaseMs: jobs.leaseSeconds * 1000,
      heartbeatMs: jobs.heartbeatSeconds * 1000,
      retentionMs: jobs.retentionDays * 86_400_000,
      maxWaitingJobs: jobs.maxWaitingJobs,
    },
    nodeId,
    newId: () => newId(clock.nowMs()),
    clock,
    timers: systemTimers,
    log,
  })
  scheduler.start()
  const transfers = new ObjectTransfers({ objects, secret, clock, ttlSeconds: transferTtlSeconds })
  const services = { scheduler, store, scenarios, logs, objects, transfers, newId: () => newId(clock.nowMs()) }
  return { services, fleet: scheduler.fleet, [Symbol.asyncDispose]: () => scheduler[Symbol.asyncDispose]() }
}

const noMedia: JobMedia = {
  recordingUrl: () => Promise.reject(absent('recordings')),
  liveLink: () => Promise.reject(absent('streams')),
}

function absent(what: string): AppError {
  return new AppError('UNSUPPORTED', `this node has no ${what}; submit the job to one that has`)
}
