/** A fleet for tests: nodes of the control plane and workers, each a process of its own, with short times. */
import type { Static, TSchema } from 'typebox'
import { Check } from 'typebox/value'
import {
  attemptListSchema,
  jobViewSchema,
  nodeListSchema,
  scenarioViewSchema,
  taskListSchema,
  type AttemptView,
  type JobView,
  type NodeView,
  type ScenarioView,
  type TaskView,
} from '#api/job-contract.ts'
import { startMillrace, type Millrace, type MillraceOptions } from './program.ts'
import { until } from './until.ts'

/** Times in which a test can wait for leases, retries and staleness. */
export const shortTimes = {
  MILLRACE_JOBS_LEASE_SECONDS: '3',
  MILLRACE_JOBS_HEARTBEAT_SECONDS: '0.5',
  MILLRACE_JOBS_UNHELD_SECONDS: '1.5',
  MILLRACE_JOBS_RETRY_FIRST_SECONDS: '0.5',
  MILLRACE_JOBS_RETRY_MAX_SECONDS: '2',
  MILLRACE_WORKER_MIN_FREE_MEGABYTES: '0',
} as const

/** A server that takes jobs and has no worker. */
export function startControl(options: MillraceOptions = {}): Promise<Millrace> {
  return startMillrace({ ...options, env: { ...shortTimes, ...options.env } })
}

/** A worker for these servers. */
export function startWorker(urls: readonly string[], options: MillraceOptions = {}): Promise<Millrace> {
  const list = `[worker]\nurls = ${JSON.stringify(urls)}\n`
  const env = { ...shortTimes, MILLRACE_WORKER_SLOTS: '2', MILLRACE_WORKER_NICENESS: '0', ...options.env }
  return startMillrace({ ...options, role: 'worker', config: `${list}${options.config ?? ''}`, env })
}

/** The API of one server, as a user of jobs has it. */
export class FleetApi {
  readonly #url: () => string

  constructor(server: Pick<Millrace, 'url'>) {
    this.#url = () => server.url
  }

  async submit(job: Readonly<Record<string, unknown>>, headers: Record<string, string> = {}): Promise<JobView> {
    return await this.#ask(jobViewSchema, 'jobs', { method: 'POST', body: JSON.stringify(job), headers })
  }
  async job(id: string): Promise<JobView> {
    return await this.#ask(jobViewSchema, `jobs/${id}`)
  }
  async cancel(id: string): Promise<JobView> {
    return await this.#ask(jobViewSchema, `jobs/${id}/cancel`, { method: 'POST' })
  }
  async retry(id: string): Promise<JobView> {
    return await this.#ask(jobViewSchema, `jobs/${id}/retry`, { method: 'POST' })
  }
  async tasks(id: string): Promise<readonly TaskView[]> {
    return (await this.#ask(taskListSchema, `jobs/${id}/tasks?limit=1000`)).items
  }
  async attempts(id: string): Promise<readonly AttemptView[]> {
    return (await this.#ask(attemptListSchema, `jobs/${id}/attempts?limit=500`)).items
  }
  async addScenario(scenario: Readonly<Record<string, unknown>>): Promise<ScenarioView> {
    return await this.#ask(scenarioViewSchema, 'scenarios', { method: 'POST', body: JSON.stringify(scenario) })
  }
  async nodes(): Promise<readonly NodeView[]> {
    return (await this.#ask(nodeListSchema, 'nodes')).items
  }

  /** Waits until a worker is there. */
  async untilWorking(count = 1): Promise<void> {
    const isThere = async (): Promise<boolean> => (await this.nodes()).filter(({ state }) => state === 'active').length >= count
    await until(isThere, { what: `${count} workers`, timeoutMs: 60_000 })
  }

  /** The job when it is in this state; fails as soon as it has ended otherwise. */
  async untilState(id: string, wanted: JobView['state'], timeoutMs = 120_000): Promise<JobView> {
    return await until(
      async () => {
        const job = await this.job(id)
        if (job.state === wanted) return job
        const isOver = ['completed', 'failed', 'timed_out', 'canceled', 'rejected'].includes(job.state)
        if (isOver) throw new Error(`job ${id} is ${job.state}, not ${wanted}: ${JSON.stringify(job)}`)
        return undefined
      },
      // Each look costs the server about a millisecond.
      { what: `job ${id} to be ${wanted}`, timeoutMs, everyMs: 100 },
    )
  }

  async #ask<Schema extends TSchema>(schema: Schema, path: string, init: RequestInit = {}): Promise<Static<Schema>> {
    const headers = { ...(init.body === undefined ? {} : { 'content-type': 'application/json' }), ...headersOf(init) }
    const response = await fetch(`${this.#url()}/api/v1/${path}`, { ...init, headers })
    const body: unknown = await response.json()
    if (Check(schema, body)) return body
    throw new Error(`${path} answered ${response.status}: ${JSON.stringify(body)}`)
  }
}

function headersOf({ headers }: RequestInit): Record<string, string> {
  return Object.fromEntries(new Headers(headers))
}
