/**
 * Claims and completions of tasks: `node bench/jobs-claim.ts`. The queue holds 60,000 tasks that are ready, in 600 jobs of 3 tenants; then the same with 40,000
 * before them that need what no worker has. Completions are grouped as the scheduler does: those that come while a transaction runs go together in the next.
 */
import { join } from 'node:path'
import { sql } from 'kysely'
import { pino } from 'pino'
import { Completions } from '#jobs/completions.ts'
import type { CompletionVerdict, JobStore, SchedulerPolicy, WorkerRef } from '#jobs/job-store.ts'
import { sqlJobStore } from '#jobs/sql/sql-job-store.ts'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { temporaryDirectory } from '../test/support/temp-directory.ts'

const jobCount = 600
const tasksPerJob = 100
const impossibleCount = 40_000
const claimCount = 500
const workerCount = 8
const tasksPerWorker = 400

const policy: SchedulerPolicy = {
  maxAttempts: 3,
  maxLost: 5,
  retryFirstMs: 5_000,
  retryMaxMs: 300_000,
  staleMs: { live: 300_000, default: 1_800_000, batch: 1_800_000 },
  unheldMs: 20_000,
  ageMs: 600_000,
}

await using directory = await temporaryDirectory()
await using server = await startPostgres()
const rows = []
for (const isBehind of [false, true]) {
  const urls = {
    SQLite: sqliteUrl(join(directory.path, `${String(isBehind)}.sqlite`)),
    PostgreSQL: await server.createDatabase(),
  }
  for (const [name, url] of Object.entries(urls)) rows.push(await measure({ name, url, isBehind }))
}
console.table(rows)

async function measure({ name, url, isBehind }: { name: string; url: string; isBehind: boolean }) {
  await using database = await openDatabase({ url, log: pino({ level: 'silent' }) })
  const store = sqlJobStore(database, policy)
  await fill(database, store, isBehind)
  const alone = await claimTimes(store, 'alone')
  const workers = Array.from({ length: workerCount }, (_, n) => `together-${n}`)
  const together = (await Promise.all(workers.map((id) => claimTimes(store, id)))).flat()
  const perSecond = await throughput(store)
  return {
    database: name,
    queue: isBehind ? '60,000 behind 40,000 impossible' : '60,000 ready',
    'claim p50 ms': percentile(alone, 0.5),
    'claim p99 ms': percentile(alone, 0.99),
    [`${workerCount} at once p50 ms`]: percentile(together, 0.5),
    [`${workerCount} at once p99 ms`]: percentile(together, 0.99),
    'claim and complete /s': Math.round(perSecond),
  }
}

async function fill(database: Database, store: JobStore, isBehind: boolean): Promise<void> {
  for (let n = 0; n < jobCount; n++) {
    const kind = { kind: 'probe', rendition: '', chunk: 0, after: [], cost: 1, totalFrames: 0 } as const
    const needs = isBehind && n === 0 ? ['gpu'] : []
    const job = { scenario: 'bench', queue: 'default', priority: 'medium', label: undefined, input: {} } as const
    const rest = { idempotencyKey: undefined, deadlineMs: undefined, firstTask: { ...kind, needs } }
    await store.submit({ id: `job-${n}`, tenant: `t${n % 3}`, ...job, ...rest })
  }
  if (isBehind) await copyTasks(database, { count: impossibleCount, jobs: 'id = 1', firstKey: 0 })
  await copyTasks(database, { count: tasksPerJob, jobs: 'id > 1', firstKey: 1 })
  await sql`update jobs set task_count = (select count(*) from tasks where tasks.job_id = jobs.id)`.execute(database.db)
  if (database.dialect === 'postgres') await sql`vacuum analyze`.execute(database.db)
  else await sql`analyze`.execute(database.db)
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
    select job_id, 'video', '720p', n, class_id, base_rank, rank, ${sql.lit(firstKey)} * n, cost, state, 1, 0, 0, 0, 0, 0, 0, 0, 0, run_after_ms, aged_at_ms
    from tasks, ${numbers} where kind = 'probe' and ${sql.raw(jobs)}
  `.execute(db)
}

async function register(store: JobStore, id: string): Promise<WorkerRef> {
  const node = {
    id,
    name: id,
    version: '1',
    roles: ['worker'],
    slots: 1000,
    capabilities: ['cpu'],
    liveReserve: 0,
    leaseMs: 3_600_000,
  }
  return { nodeId: id, epoch: (await store.registerNode(node)).epoch }
}

async function claimTimes(store: JobStore, id: string): Promise<number[]> {
  const worker = await register(store, id)
  const times = []
  for (let n = 0; n < claimCount; n++) {
    const startedAtMs = performance.now()
    const { tasks } = await store.claim({ ...worker, max: 1 })
    times.push(performance.now() - startedAtMs)
    if (tasks.length !== 1) throw new Error(`${id} claimed ${tasks.length} tasks`)
  }
  return times
}

/** Tasks per second that workers claim one by one and complete together. */
async function throughput(store: JobStore): Promise<number> {
  const completions = new Completions({ store, onEffects: () => {} })
  const work = async (n: number) => {
    const worker = await register(store, `busy-${n}`)
    const pending = new Set<Promise<CompletionVerdict>>()
    for (let done = 0; done < tasksPerWorker;) {
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
  await Promise.all(Array.from({ length: workerCount }, (_, n) => work(n)))
  return (workerCount * tasksPerWorker * 1000) / (performance.now() - startedAtMs)
}

function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b)
  return Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2))
}
