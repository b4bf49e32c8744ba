import { Counter, Histogram, type Registry } from 'prom-client'
import { type Sample, scrapedGauge } from './scraped.ts'

/** What is told of the fleet at each scrape; every node of the control plane tells the same. */
export type JobSources = {
  /** Undefined while the database has not answered. */
  readonly counts:
    | {
        readonly jobs: Readonly<Record<string, number>>
        readonly readyTasks: Readonly<Record<string, number>>
        readonly leasedTasks: number
        readonly oldestReadyMs: number | undefined
      }
    | undefined
  readonly nodesByState: Readonly<Record<string, number>>
  readonly slots: { readonly total: number; readonly used: number }
  readonly waitingWorkers: number
}

/** One change of a job's state. Times are absent for a job that never ran. */
type JobChanged = { readonly to: string; readonly queue: string; readonly waitMs?: number; readonly durationMs?: number }
type Claimed = { readonly durationMs: number; readonly taskCount: number }

const waitBuckets = [0.01, 0.05, 0.25, 1, 5, 30, 120, 600, 3600]
const durationBuckets = [1, 5, 30, 60, 300, 900, 1800, 3600, 10_800, 43_200]
const claimBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2]

/** What is told of jobs. Changes are counted by the node where they came about, the rest is asked for at each scrape. */
export class JobMetrics {
  readonly #registry: Registry
  readonly #ended: Counter<'state' | 'queue'>
  readonly #retries: Counter<'queue'>
  readonly #waitSeconds: Histogram<'queue'>
  readonly #durationSeconds: Histogram<'queue'>
  readonly #claimSeconds: Histogram
  readonly #claimedTasks: Counter
  #sources: (() => JobSources) | undefined

  constructor(registry: Registry) {
    this.#registry = registry
    const registers = [registry]
    this.#ended = new Counter({
      name: 'millrace_jobs_ended_total',
      help: 'Jobs that came to an end, by how.',
      labelNames: ['state', 'queue'],
      registers,
    })
    this.#retries = new Counter({
      name: 'millrace_job_retries_total',
      help: 'Times a job waited to try something again.',
      labelNames: ['queue'],
      registers,
    })
    this.#waitSeconds = new Histogram({
      name: 'millrace_job_wait_seconds',
      help: 'From the submit of a job until a worker began with it.',
      labelNames: ['queue'],
      buckets: waitBuckets,
      registers,
    })
    this.#durationSeconds = new Histogram({
      name: 'millrace_job_duration_seconds',
      help: 'From then until it was completed.',
      labelNames: ['queue'],
      buckets: durationBuckets,
      registers,
    })
    this.#claimSeconds = new Histogram({
      name: 'millrace_claim_seconds',
      help: 'How long the database took to look for work for a worker.',
      buckets: claimBuckets,
      registers,
    })
    this.#claimedTasks = new Counter({ name: 'millrace_claimed_tasks_total', help: 'Tasks given to workers.', registers })
  }

  /** From where figures are asked for at each scrape. Once. */
  attach(sources: () => JobSources): void {
    this.#sources = sources
    this.#gauge('jobs', 'Jobs that are kept, by state.', 'state', ({ counts }) => counts?.jobs)
    this.#gauge('tasks_ready', 'Tasks that wait for a worker, by queue.', 'queue', ({ counts }) => counts?.readyTasks)
    this.#gauge('nodes', 'Workers, by state.', 'state', ({ nodesByState }) => nodesByState)
    this.#gauge('tasks_leased', 'Tasks that workers have.', undefined, ({ counts }) => counts?.leasedTasks)
    this.#gauge('oldest_ready_task_seconds', 'How long the oldest task waits for a worker.', undefined, ({ counts }) =>
      counts === undefined ? undefined : (counts.oldestReadyMs ?? 0) / 1000,
    )
    this.#gauge('slots', 'Slots of the workers that are there.', undefined, ({ slots }) => slots.total)
    this.#gauge('slots_used', 'Slots that tasks take.', undefined, ({ slots }) => slots.used)
    this.#gauge('waiting_workers', 'Workers that wait for work at this node.', undefined, (one) => one.waitingWorkers)
  }

  jobChanged({ to, queue, waitMs, durationMs }: JobChanged): void {
    if (to === 'running' && waitMs !== undefined) this.#waitSeconds.observe({ queue }, waitMs / 1000)
    if (to === 'retrying') this.#retries.inc({ queue })
    if (!endStates.has(to)) return
    this.#ended.inc({ state: to, queue })
    if (to === 'completed' && durationMs !== undefined) this.#durationSeconds.observe({ queue }, durationMs / 1000)
  }

  claimed({ durationMs, taskCount }: Claimed): void {
    this.#claimSeconds.observe(durationMs / 1000)
    if (taskCount > 0) this.#claimedTasks.inc(taskCount)
  }

  #gauge(
    name: string,
    help: string,
    label: string | undefined,
    valueOf: (sources: JobSources) => Readonly<Record<string, number>> | number | undefined,
  ): void {
    const samples = (): Sample[] => {
      const value = this.#sources && valueOf(this.#sources())
      if (value === undefined) return []
      if (typeof value === 'number') return [{ labels: {}, value }]
      return Object.entries(value).map(([key, amount]) => ({ labels: { [label ?? '']: key }, value: amount }))
    }
    const labelNames = label === undefined ? [] : [label]
    scrapedGauge({ registry: this.#registry, name: `millrace_${name}`, help, labelNames, samples })
  }
}

const endStates = new Set(['completed', 'failed', 'timed_out', 'canceled', 'rejected'])
