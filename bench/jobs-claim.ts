/**
 * Claims and completions of tasks: `node bench/jobs-claim.ts`. The queue holds 60,000 tasks that are ready, in 600 jobs of 3 tenants; then the same with 40,000
 * before them that need what no worker has. Completions are grouped as the scheduler does: those that come while a transaction runs go together in the next.
 */
import { join } from 'node:path'
import { pino } from 'pino'
import { sqlJobStore } from '#jobs/sql/sql-job-store.ts'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { temporaryDirectory } from '../test/support/temp-directory.ts'
import { benchPolicy, claimTimes, fillQueue, percentile, taskThroughput } from './support/job-queue.ts'

const claimCount = 500
const workerCount = 8
const tasksPerWorker = 400

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
  const store = sqlJobStore(database, benchPolicy)
  await fillQueue(database, store, { isBehind })
  const alone = await claimTimes(store, { id: 'alone', count: claimCount })
  const workers = Array.from({ length: workerCount }, (_, n) => `together-${n}`)
  const together = (await Promise.all(workers.map((id) => claimTimes(store, { id, count: claimCount })))).flat()
  const perSecond = await taskThroughput(store, { workers: workerCount, tasksEach: tasksPerWorker })
  return {
    database: name,
    queue: isBehind ? '60,000 behind 40,000 impossible' : '60,000 ready',
    'claim p50 ms': percentile(alone, 0.5).toFixed(2),
    'claim p99 ms': percentile(alone, 0.99).toFixed(2),
    [`${workerCount} at once p50 ms`]: percentile(together, 0.5).toFixed(2),
    [`${workerCount} at once p99 ms`]: percentile(together, 0.99).toFixed(2),
    'claim and complete /s': Math.round(perSecond),
  }
}
