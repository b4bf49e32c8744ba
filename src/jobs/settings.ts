/** The `[jobs]` and `[worker]` sections of the configuration, and the rules between their settings. `[[scenarios]]` is in `scenarios/file-scenarios.ts`. */
import { Type, type Static } from 'typebox'
import type { Finding } from '#lib/config/validate.ts'
import type { SchedulerPolicy } from './job-store.ts'

const closed = { additionalProperties: false } as const

/** The `[jobs]` section: the same on all servers that share a database. */
export const jobsSettingsSchema = Type.Object(
  {
    enabled: Type.Boolean({ default: true, description: 'Take jobs and give their tasks to workers.' }),
    leaseSeconds: Type.Number({
      default: 30,
      minimum: 1,
      maximum: 3600,
      description: 'A worker that was not heard of for this long is lost, and its tasks go to others.',
    }),
    heartbeatSeconds: Type.Number({
      default: 5,
      minimum: 0.1,
      maximum: 600,
      description: 'How often workers tell what they do; a job that is canceled ends within this time.',
    }),
    retentionDays: Type.Number({
      default: 7,
      minimum: 0,
      description: 'A job is forgotten so long after its end. Files that it published are kept.',
    }),
    maxWaitingJobs: Type.Integer({
      default: 100_000,
      minimum: 1,
      description: 'Jobs that are not over; beyond, new ones are refused.',
    }),
    maxAttempts: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 100,
      description: 'Tries of a task that fails for a reason that may pass; then its job fails.',
    }),
    maxLost: Type.Integer({
      default: 3,
      minimum: 1,
      maximum: 100,
      description: 'Workers that one task may lose; then it is taken for what kills them, and its job fails.',
    }),
    retryFirstSeconds: Type.Number({
      default: 5,
      minimum: 0.01,
      description: 'First wait before a failed task is tried again; doubles up to retryMaxSeconds, with jitter.',
    }),
    retryMaxSeconds: Type.Number({ default: 300, minimum: 0.01, description: 'Longest wait between two tries of a task.' }),
    staleLiveSeconds: Type.Number({
      default: 300,
      minimum: 0.1,
      description: 'A task of the queue `live` that moves no frame for so long is taken from its worker and tried again.',
    }),
    staleDefaultSeconds: Type.Number({ default: 600, minimum: 0.1, description: 'The same for the queue `default`.' }),
    staleBatchSeconds: Type.Number({ default: 1800, minimum: 0.1, description: 'The same for the queue `batch`.' }),
    unheldSeconds: Type.Number({
      default: 15,
      minimum: 0.1,
      description: 'A task that was given to a worker which does not know of it goes back after so long: the answer was lost.',
    }),
    ageSeconds: Type.Number({
      default: 300,
      minimum: 0.1,
      description: 'A waiting task moves up by one priority each so often, but never among live jobs.',
    }),
  },
  closed,
)
export type JobsSettings = Static<typeof jobsSettingsSchema>

/** The `[worker]` section: what this process takes on of the work. */
export const workerSettingsSchema = Type.Object(
  {
    enabled: Type.Boolean({ default: true, description: 'Do tasks of jobs in this process.' }),
    urls: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      maxItems: 32,
      description:
        'Addresses of the API, such as "http://10.0.0.5:3000" or "https://api.example.org:3443", tried in turn; none: the API of this process.',
    }),
    credential: Type.Optional(
      Type.String({
        minLength: 3,
        secret: true,
        description: 'Name and password of an admin, as "name:password", or an API key ("mrk_…") with admin rights.',
      }),
    ),
    authority: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Path of the own authority (CA), PEM, that signed the certificate of the API. Addresses of files are trusted with it too, besides the public ones. Read again when the file changes.',
      }),
    ),
    certificate: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Path of the client certificate, PEM, in place of `credential`: its common name is an admin.',
      }),
    ),
    key: Type.Optional(Type.String({ minLength: 1, description: 'Path of the private key that belongs to it, PEM.' })),
    id: Type.Optional(
      Type.String({
        pattern: '^[a-zA-Z0-9._-]{1,100}$',
        examples: ['worker-1'],
        description: 'Names the worker and stays the same when it starts again; default is kept in the data directory.',
      }),
    ),
    slots: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 1000,
      description: 'How much it does at once; one slot is about one processor core. 0: as many as there are cores.',
    }),
    liveReserve: Type.Integer({ default: 0, minimum: 0, maximum: 1000, description: 'Slots that are kept free for live jobs.' }),
    scratchDirectory: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Where files are made before they are put away; default is `scratch` in the data directory.',
      }),
    ),
    minFreeMegabytes: Type.Number({
      default: 2000,
      minimum: 0,
      description: 'Free space that tasks leave on the disk of the scratch directory; with less, none is begun.',
    }),
    taskMemoryMegabytes: Type.Number({
      default: 0,
      minimum: 0,
      description: 'A task whose process takes more memory is stopped; 0: three quarters of what the machine has.',
    }),
    niceness: Type.Integer({
      default: 10,
      minimum: 0,
      maximum: 19,
      description: 'How much encoding stands back behind everything else on the machine.',
    }),
    metricsHost: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      description: 'Address for metrics and health of a worker that runs by itself.',
    }),
    metricsPort: Type.Integer({
      default: 9091,
      minimum: 0,
      maximum: 65_535,
      description: 'HTTP: /metrics, /health and /ready of a worker that runs by itself. 0 takes any free port.',
    }),
    drainSeconds: Type.Number({
      default: 60,
      minimum: 0,
      maximum: 86_400,
      description: 'When it is told to stop, it finishes what it can within this time and gives back the rest.',
    }),
  },
  closed,
)
export type WorkerSettings = Static<typeof workerSettingsSchema>

/** The limits and times of the scheduler, as the store takes them. */
export function schedulerPolicy(jobs: JobsSettings): SchedulerPolicy {
  const { maxAttempts, maxLost } = jobs
  return {
    maxAttempts,
    maxLost,
    retryFirstMs: jobs.retryFirstSeconds * 1000,
    retryMaxMs: jobs.retryMaxSeconds * 1000,
    staleMs: {
      live: jobs.staleLiveSeconds * 1000,
      default: jobs.staleDefaultSeconds * 1000,
      batch: jobs.staleBatchSeconds * 1000,
    },
    unheldMs: jobs.unheldSeconds * 1000,
    ageMs: jobs.ageSeconds * 1000,
  }
}

/** Rules between settings, which a schema cannot say. Paths begin with the section. */
export function jobsSettingsProblems({ jobs, worker }: { jobs: JobsSettings; worker: WorkerSettings }): Finding[] {
  const problems: Finding[] = []
  if (jobs.heartbeatSeconds * 2 > jobs.leaseSeconds) {
    const message = `is ${jobs.heartbeatSeconds}, but a lease (jobs.leaseSeconds, ${jobs.leaseSeconds}) must outlast two heartbeats; lower it`
    problems.push({ path: ['jobs', 'heartbeatSeconds'], message })
  }
  if (jobs.unheldSeconds < jobs.heartbeatSeconds * 2) {
    const message = `is ${jobs.unheldSeconds}, less than two heartbeats (jobs.heartbeatSeconds, ${jobs.heartbeatSeconds}); raise it`
    problems.push({ path: ['jobs', 'unheldSeconds'], message })
  }
  if (jobs.retryFirstSeconds > jobs.retryMaxSeconds) {
    const message = `is ${jobs.retryMaxSeconds}, less than jobs.retryFirstSeconds (${jobs.retryFirstSeconds}); raise it`
    problems.push({ path: ['jobs', 'retryMaxSeconds'], message })
  }
  if ((worker.certificate === undefined) !== (worker.key === undefined)) {
    const missing = worker.key === undefined ? 'key' : 'certificate'
    problems.push({ path: ['worker', missing], message: 'is missing; certificate and key need each other' })
  }
  if (worker.slots > 0 && worker.liveReserve > worker.slots) {
    const message = `is ${worker.liveReserve}, more than worker.slots (${worker.slots}); lower it`
    problems.push({ path: ['worker', 'liveReserve'], message })
  }
  return problems
}
