import type { Agent } from 'node:https'
import type { Static } from 'typebox'
import {
  attemptListSchema,
  jobListSchema,
  jobViewSchema,
  logLineListSchema,
  nodeListSchema,
  nodeViewSchema,
  scenarioListSchema,
  scenarioViewSchema,
  sourceObjectSchema,
  sourceUploadSchema,
  type AttemptView,
  type JobCreate,
  type JobListQuery,
  type JobLogQuery,
  type JobSummary,
  type JobView,
  type NodeView,
  type ScenarioView,
  type SourceComplete,
  type SourceCreate,
  type SourceUpload,
} from '#api/job-contract.ts'
import { allPages, type ApiClient } from './client.ts'

const largestPage = 500

type Abortable = { readonly signal?: AbortSignal }

/** The job fleet of a running server: its jobs, scenarios and nodes. Fails as `ApiClient` does. */
export class JobClient {
  readonly #api: ApiClient

  constructor(api: ApiClient) {
    this.#api = api
  }

  /** The newest `limit` jobs that fit. */
  async listJobs(query: Omit<JobListQuery, 'limit' | 'cursor'>, { limit }: { limit: number }): Promise<JobSummary[]> {
    const jobs: JobSummary[] = []
    let cursor: string | undefined
    do {
      const page: Static<typeof jobListSchema> = await this.#api.ask('jobs', jobListSchema, {
        query: { ...query, limit: Math.min(largestPage, limit - jobs.length), cursor },
      })
      jobs.push(...page.items)
      cursor = page.nextCursor
    } while (cursor !== undefined && jobs.length < limit)
    return jobs
  }

  getJob(id: string, call: Abortable = {}): Promise<JobView> {
    return this.#api.ask(jobPath(id), jobViewSchema, call)
  }

  /** What connections over TLS are made by where its files are; undefined: that of Node. */
  async agent(): Promise<Agent | undefined> {
    return (await this.#api.connections())?.agent
  }

  /** With the same key again it is the same job. */
  submit(job: JobCreate, { idempotencyKey }: { idempotencyKey?: string | undefined } = {}): Promise<JobView> {
    const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }
    return this.#api.ask('jobs', jobViewSchema, { method: 'POST', body: job, headers })
  }

  /** Where a player finds what the job made. */
  addressOf({ result }: Pick<JobView, 'result'>): string | undefined {
    return result && this.#api.addressOf(result.entryUrl)
  }

  /** The address that workers are given. */
  get serverUrl(): string {
    return new URL(this.#api.addressOf('/')).origin
  }

  /** Where a browser shows the job. */
  pageOf({ id }: Pick<JobView, 'id'>): string {
    return this.#api.addressOf(`/#/jobs/${encodeURIComponent(id)}`)
  }

  cancelJob(id: string): Promise<JobView> {
    return this.#api.ask(`${jobPath(id)}/cancel`, jobViewSchema, { method: 'POST' })
  }

  retryJob(id: string): Promise<JobView> {
    return this.#api.ask(`${jobPath(id)}/retry`, jobViewSchema, { method: 'POST' })
  }

  listAttempts(id: string): Promise<AttemptView[]> {
    return allPages((page) => this.#api.ask(`${jobPath(id)}/attempts`, attemptListSchema, { query: page }))
  }

  /** Lines of its tasks, oldest first. */
  readLog(id: string, query: JobLogQuery, call: Abortable = {}): Promise<Static<typeof logLineListSchema>> {
    return this.#api.ask(`${jobPath(id)}/logs`, logLineListSchema, { query, ...call })
  }

  /** Where to put a file, or the rest of one. */
  beginSource(source: SourceCreate, call: Abortable = {}): Promise<SourceUpload> {
    return this.#api.ask('jobs/sources', sourceUploadSchema, { method: 'POST', body: source, ...call })
  }

  async completeSource(source: SourceComplete, call: Abortable = {}): Promise<void> {
    await this.#api.ask('jobs/sources/complete', sourceObjectSchema, { method: 'POST', body: source, ...call })
  }

  listScenarios(): Promise<ScenarioView[]> {
    return allPages((page) => this.#api.ask('scenarios', scenarioListSchema, { query: page }))
  }

  getScenario(name: string): Promise<ScenarioView> {
    return this.#api.ask(scenarioPath(name), scenarioViewSchema)
  }

  /** The server says what is wrong with it. */
  createScenario(scenario: Readonly<Record<string, unknown>>): Promise<ScenarioView> {
    return this.#api.ask('scenarios', scenarioViewSchema, { method: 'POST', body: scenario })
  }

  /** All of it anew; without its name. */
  replaceScenario(name: string, scenario: Readonly<Record<string, unknown>>): Promise<ScenarioView> {
    return this.#api.ask(scenarioPath(name), scenarioViewSchema, { method: 'PUT', body: scenario })
  }

  async removeScenario(name: string): Promise<void> {
    await this.#api.send(scenarioPath(name), { method: 'DELETE' })
  }

  listNodes(call: Abortable = {}): Promise<NodeView[]> {
    return allPages((page) => this.#api.ask('nodes', nodeListSchema, { query: page, ...call }))
  }

  getNode(id: string, call: Abortable = {}): Promise<NodeView> {
    return this.#api.ask(nodePath(id), nodeViewSchema, call)
  }

  drainNode(id: string): Promise<NodeView> {
    return this.#api.ask(`${nodePath(id)}/drain`, nodeViewSchema, { method: 'POST' })
  }

  activateNode(id: string): Promise<NodeView> {
    return this.#api.ask(`${nodePath(id)}/activate`, nodeViewSchema, { method: 'POST' })
  }

  async removeNode(id: string): Promise<void> {
    await this.#api.send(nodePath(id), { method: 'DELETE' })
  }
}

function jobPath(id: string): string {
  return `jobs/${encodeURIComponent(id)}`
}

function scenarioPath(name: string): string {
  return `scenarios/${encodeURIComponent(name)}`
}

function nodePath(id: string): string {
  return `nodes/${encodeURIComponent(id)}`
}
