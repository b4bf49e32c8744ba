import type { Static } from 'typebox'
import type {
  attemptListSchema,
  AttemptView,
  JobCountsView,
  JobCreate,
  JobList,
  JobSummary,
  JobView,
  logLineListSchema,
  LogLineView,
  nodeListSchema,
  NodeView,
  PlanView,
  scenarioListSchema,
  ScenarioView,
  SourceComplete,
  SourceCreate,
  SourceUpload,
  TaskView,
} from '#api/job-contract.ts'
import { request, send } from '../api.ts'

export type { AttemptView, JobCountsView, JobCreate, JobSummary, JobView, LogLineView, NodeView, PlanView, ScenarioView }
export type { TaskView }
export type JobQuery = {
  readonly search: string
  readonly cursor: string | undefined
  /** Separated by commas; all when empty. */
  readonly states: string
}

const jobsPerPage = 50
/** What a page asks for again and again. */
const newestLines = 200
const newestAttempts = 200

const jobPath = (id: string): string => `/api/v1/jobs/${encodeURIComponent(id)}`
const nodePath = (id: string): string => `/api/v1/nodes/${encodeURIComponent(id)}`

/** A page of the jobs, newest first. This and all that follow throw an `Error` whose message is for people. */
export function loadJobs({ search, cursor, states }: JobQuery, signal: AbortSignal): Promise<JobList> {
  const query = new URLSearchParams({ limit: String(jobsPerPage) })
  if (search !== '') query.set('search', search)
  if (states !== '') query.set('state', states)
  if (cursor !== undefined) query.set('cursor', cursor)
  return request(`/api/v1/jobs?${query.toString()}`, { signal })
}

export function loadJobCounts(signal: AbortSignal): Promise<JobCountsView> {
  return request('/api/v1/jobs/counts', { signal })
}

export function loadJob(id: string, signal: AbortSignal): Promise<JobView> {
  return request(jobPath(id), { signal })
}

export function submitJob(job: JobCreate): Promise<JobView> {
  return request('/api/v1/jobs', { method: 'POST', body: job })
}

export function cancelJob(id: string): Promise<JobView> {
  return request(`${jobPath(id)}/cancel`, { method: 'POST' })
}

export function retryJob(id: string): Promise<JobView> {
  return request(`${jobPath(id)}/retry`, { method: 'POST' })
}

/** Tries that have ended, oldest first. */
export async function loadAttempts(id: string, signal: AbortSignal): Promise<AttemptView[]> {
  const { items }: Static<typeof attemptListSchema> = await request(`${jobPath(id)}/attempts?limit=${newestAttempts}`, { signal })
  return items
}

/** The newest lines of its log, oldest first. */
export async function loadLog(id: string, signal: AbortSignal): Promise<LogLineView[]> {
  const path = `${jobPath(id)}/logs?tail=${newestLines}&limit=${newestLines}`
  const { items }: Static<typeof logLineListSchema> = await request(path, { signal })
  return items
}

export function beginSource(source: SourceCreate, signal: AbortSignal): Promise<SourceUpload> {
  return request('/api/v1/jobs/sources', { method: 'POST', body: source, signal })
}

export async function completeSource(source: SourceComplete, signal: AbortSignal): Promise<void> {
  // A large object takes the store a while.
  await send('/api/v1/jobs/sources/complete', { method: 'POST', body: source, signal, timeoutMs: 60_000 })
}

export async function loadScenarios(signal?: AbortSignal): Promise<ScenarioView[]> {
  const path = '/api/v1/scenarios?limit=1000'
  const { items }: Static<typeof scenarioListSchema> = await request(path, signal ? { signal } : {})
  return items
}

/** The server says what is wrong with it. */
export function createScenario(scenario: unknown): Promise<ScenarioView> {
  return request('/api/v1/scenarios', { method: 'POST', body: scenario })
}

export async function removeScenario(name: string): Promise<void> {
  await send(`/api/v1/scenarios/${encodeURIComponent(name)}`, { method: 'DELETE' })
}

export async function loadNodes(signal: AbortSignal): Promise<NodeView[]> {
  const { items }: Static<typeof nodeListSchema> = await request('/api/v1/nodes?limit=1000', { signal })
  return items
}

export function setNodeState(id: string, action: 'drain' | 'activate'): Promise<NodeView> {
  return request(`${nodePath(id)}/${action}`, { method: 'POST' })
}

export async function removeNode(id: string): Promise<void> {
  await send(nodePath(id), { method: 'DELETE' })
}
