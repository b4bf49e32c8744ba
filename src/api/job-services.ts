import type { Dispatch } from '#jobs/scheduler/dispatch.ts'
import type { JobLogs } from '#jobs/scheduler/job-logs.ts'
import type { JobStore } from '#jobs/job-store.ts'
import type { ScenarioRegistry } from '#jobs/scenarios/registry.ts'
import type { Scheduler } from '#jobs/scheduler/scheduler.ts'
import type { TransferUrls, WorkerAccess } from '#jobs/scheduler/worker-access.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { FastifyRequest } from 'fastify'

type SchedulerCalls = 'submit' | 'requireJob' | 'cancel' | 'retry' | 'requireNode' | 'setNodeState' | 'removeNode'

/** The job fleet as the API needs it. */
export type JobServices = {
  readonly scheduler: Pick<Scheduler, SchedulerCalls> & { readonly work: Pick<Dispatch, keyof Dispatch> }
  /** For looking. What changes jobs goes through the scheduler. */
  readonly store: Pick<JobStore, 'listJobs' | 'listTasks' | 'listAttempts' | 'listNodes' | 'counts'>
  readonly scenarios: Pick<ScenarioRegistry, 'list' | 'require' | 'add' | 'replace' | 'remove'>
  readonly logs: Pick<JobLogs, 'list'>
  readonly objects: Pick<ObjectStore, 'get' | 'head' | 'beginParts' | 'completeParts'>
  /** URLs to read and write objects with. */
  readonly transfers: { urls(baseUrl: string): TransferUrls }
  readonly newId: () => string
}

export type JobRouteDeps = { readonly jobs: JobServices }

/** How whoever asks reaches this server. */
export function accessOf({ transfers }: JobServices, { protocol, host, hostname }: FastifyRequest): WorkerAccess {
  return { urls: transfers.urls(`${protocol}://${host}`), host: hostname }
}
