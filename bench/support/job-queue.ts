/** Long queues of tasks in a database, and how long it takes to get and end some of them: for benchmarks of the store of jobs. */
import { sql } from 'kysely'
import { Completions } from '#jobs/scheduler/completions.ts'
import type { CompletionVerdict, JobStore, SchedulerPolicy, WorkerRef } from '#jobs/job-store.ts'
import type { Database } from '#store/sql/schema.ts'

const jobCount = 600
const tasksPerJob = 100
const impossibleCount = 40_000

export const benchPolicy: SchedulerPolicy = {
  maxAttempts: 3,
  maxLost: 5,
  retryFirstMs: 5_000,
  retryMaxMs: 300_000,
  staleMs: { live: 300_000, default: 1_800_000, batch: 1_800_000 },
  unheldMs: 3_600_000,
  ageMs: 600_000,
}

/** A source that nobody reads. */
export const unreadSource = { source: { url: 'http://127.0.0.1:9/film.mp4' } }

/** 60,000 tasks of 600 jobs of 3 tenants; `isBehind`: behind 40,000 that need what no worker has. */
export async function fillQueue(database: Database, store: JobStore, { isBehind }: { isBehind: boolean }): Promise<void> {
  for (let n = 0; n < jobCount; n++) {
    const kind = { kind: 'probe', rendition: '', chunk: 0, after: [], cost: 1, totalFrames: 0 } as const
    const needs = isBehind && n === 0 ? ['gpu'] : []
    const job = { scenario: 'audio-only', queue: 'default', priority: 'medium', label: undefined, input: unreadSource } as const
    const rest = { idempotencyKey: undefined, deadlineMs: undefined, firstTask: { ...kind, needs } }
    await store.submit({ id: `job-${n}`, tenant: `t${n % 3}`, ...job, ...rest })
  }
  if (isBehind) await copyTasks(database, { count: impossibleCount, jobs: 'id = 1', firstKey: 0 })
  await copyTasks(database, { count: tasksPerJob, jobs: 'id > 1', firstKey: 1 })
  await sql`update jobs set task_count = (select count(*) from tasks where tasks.job_id = jobs.id)`.execute(database.db)
  await analyze(database)
}

/** More tasks beside the first ones of jobs. */
async function copyTasks(
  { db, dialect }: Database,
  { count, jobs, firstKey }: { count: number; jobs: string; firstKey: number },
): Promise<void> {
  const numbers =
    dialect === 'postgres'
      ? sql`generate_series(1, ${sql.lit(count)}) as numbers(n)`
      : sql`(with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${sql.lit(count)}) select n from numbers) as numbers`
  await sql`
    insert into tasks (job_id, kind, rendition, chunk, class_id, base_rank, rank, fair_key, cost, state, is_due, deps_left, attempt, lost_count,
      fence, held_slots, frames, total_frames, speed, run_after_ms, aged_at_ms)
    select job_id, kind, '720p', n, class_id, base_rank, rank, ${sql.lit(firstKey)} * n, cost, state, 1, 0, 0, 0, 0, 0, 0, 0, 0, run_after_ms, aged_at_ms
    from tasks, ${numbers} where rendition = '' and ${sql.raw(jobs)}
  `.execute(db)
}

/** As many jobs like the one that is there, each with its first task. PostgreSQL only. */
export async function copyJob(database: Database, { id, count }: { id: string; count: number }): Promise<void> {
  const { db } = database
  await sql`
    insert into jobs (id, tenant, scenario, queue, priority, state, generation, is_cancel_requested, created_at_ms, task_count, done_count, leased_count, frames, total_frames)
    select 'copy-' || n, tenant, scenario, queue, priority, 'queued', 1, 0, created_at_ms, 1, 0, 0, 0, 0
    from jobs, generate_series(1, ${sql.lit(count)}) as numbers(n) where id = ${id}`.execute(db)
  await sql`
    insert into job_documents (job_id, input)
    select 'copy-' || n, input from job_documents, generate_series(1, ${sql.lit(count)}) as numbers(n) where job_id = ${id}`.execute(
    db,
  )
  await sql`
    insert into tasks (job_id, kind, rendition, chunk, class_id, base_rank, rank, fair_key, cost, state, is_due, deps_left, attempt, lost_count,
      fence, held_slots, frames, total_frames, speed, run_after_ms, aged_at_ms)
    select 'copy-' || n, kind, rendition, chunk, class_id, base_rank, rank, fair_key + n, cost, 'ready', 1, 0, 0, 0, 0, 0, 0, 0, 0, run_after_ms, aged_at_ms
    from tasks, generate_series(1, ${sql.lit(count)}) as numbers(n) where job_id = ${id}`.execute(db)
  await analyze(database)
}

async function analyze({ db, dialect }: Database): Promise<void> {
  if (dialect === 'postgres') await sql`vacuum analyze`.execute(db)
  else await sql`analyze`.execute(db)
}

export async function registerWorker(store: JobStore, id: string): Promise<WorkerRef> {
  const facts = { name: id, version: '1', roles: ['worker'], slots: 1000, capabilities: ['cpu'], liveReserve: 0 }
  return { nodeId: id, epoch: (await store.registerNode({ id, ...facts, leaseMs: 3_600_000 })).epoch }
}

/** Milliseconds of each of `count` claims of one task. */
export async function claimTimes(store: JobStore, { id, count }: { id: string; count: number }): Promise<number[]> {
  const worker = await registerWorker(store, id)
  const times = []
  for (let n = 0; n < count; n++) {
    const startedAtMs = performance.now()
    const { tasks } = await store.claim({ ...worker, max: 1 })
    times.push(performance.now() - startedAtMs)
    if (tasks.length !== 1) throw new Error(`${id} claimed ${tasks.length} tasks`)
  }
  return times
}

/** Tasks per second that workers claim four at a time and complete together, as the scheduler does. */
export async function taskThroughput(store: JobStore, { workers, tasksEach }: { workers: number; tasksEach: number }) {
  const completions = new Completions({ store, onEffects: () => {} })
  const work = async (n: number) => {
    const worker = await registerWorker(store, `busy-${n}`)
    const pending = new Set<Promise<CompletionVerdict>>()
    for (let done = 0; done < tasksEach;) {
      const { tasks } = await store.claim({ ...worker, max: 4 })
      for (const { id, fence } of tasks) {
        const completion = completions.complete({ ...worker, taskId: id, fence, output: { sha256: 'x'.repeat(64) } })
        pending.add(completion)
        void completion.finally(() => pending.delete(completion))
      }
      done += tasks.length
      if (pending.size >= 8) await Promise.race(pending)
    }
    await Promise.all(pending)
  }
  const startedAtMs = performance.now()
  await Promise.all(Array.from({ length: workers }, (_, n) => work(n)))
  return (workers * tasksEach * 1000) / (performance.now() - startedAtMs)
}

/** Of numbers in any order; 0 when there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
