/**
 * The queue of jobs through its real HTTP API, a server `--role api` on PostgreSQL, against graphile-worker and pg-boss as libraries in this process on the same
 * PostgreSQL (its commits do not wait for the disk), in one run: from submit until a worker has the task, the API while workers claim as fast as they can, claims
 * from long queues, and tasks per second.
 *
 * Run: node bench/jobs.ts [latency|load|queue|throughput ...]
 */
import { loadavg } from 'node:os'
import { pino } from 'pino'
import { sqlJobStore } from '#jobs/sql/sql-job-store.ts'
import { openDatabase } from '#store/sql/database.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { startMillrace, type Millrace } from '../test/support/program.ts'
import { JobsHttp, RawWorker } from './support/job-api.ts'
import { startGraphile, startPgBoss, type JobPeer } from './support/job-peers.ts'
import { benchPolicy, claimTimes, copyJob, fillQueue, percentile, taskThroughput } from './support/job-queue.ts'
import { usageOf } from './support/process-usage.ts'

const chosen = process.argv.slice(2)
const samples = 500
/** One that polls takes seconds for each. */
const polledSamples = 10
const warmups = 300
const workerCount = 8
const jobCount = 4000
const loadMs = 8000
const log = pino({ level: 'silent' })
/** Nobody here says that it lives, and nothing is to be taken from it. */
const env = {
  MILLRACE_JOBS_LEASE_SECONDS: '3600',
  MILLRACE_JOBS_HEARTBEAT_SECONDS: '600',
  MILLRACE_JOBS_UNHELD_SECONDS: '3600',
}

const peers: readonly (readonly [string, (url: string) => Promise<JobPeer>, number])[] = [
  ['graphile-worker 0.18.0', startGraphile, samples],
  ['pg-boss 12.27.0, LISTEN/NOTIFY', (url) => startPgBoss(url, { isNotified: true }), samples],
  ['pg-boss 12.27.0 as it comes', (url) => startPgBoss(url, { isNotified: false }), polledSamples],
]

await using postgres = await startPostgres()
const benches = { latency, load, queue, throughput }
console.log(new Date().toISOString())
for (const [name, run] of Object.entries(benches)) if (chosen.length === 0 || chosen.includes(name)) await run()

function startNode(url: string): Promise<Millrace> {
  return startMillrace({ role: 'api', env: { ...env, DATABASE_URL: url } })
}

/** One job after the other: from the call that adds it until the worker has it. */
async function latency(): Promise<void> {
  printHeading('a job is added until its worker begins, one at a time', ['p50 ms', 'p99 ms', 'millrace takes'])
  const url = await postgres.createDatabase()
  await using one = await startNode(url)
  await using other = await startNode(url)
  const ours = await submitTimes(one, one)
  printTimes('millrace, HTTP', ours)
  printTimes('  worker at another node', await submitTimes(one, other))
  for (const [name, start, count] of peers) {
    await using peer = await start(await postgres.createEmptyDatabase())
    await peer.latencies(2)
    printTimes(name, (await peer.latencies(count + 2)).slice(2), ours)
  }
}

async function submitTimes(submittedTo: Millrace, waitingAt: Millrace): Promise<number[]> {
  const client = new JobsHttp(submittedTo.url)
  const worker = new RawWorker(new JobsHttp(waitingAt.url), submittedTo === waitingAt ? 'here' : 'there')
  await worker.register()
  const times: number[] = []
  for (let n = 0; n < samples + warmups; n++) {
    const claimed = worker.claim({ max: 1, waitMs: 20_000 })
    // It waits by then.
    await pause(15)
    const startedAtMs = performance.now()
    await client.submit()
    const tasks = await claimed
    if (n >= warmups) times.push(performance.now() - startedAtMs)
    if (tasks.length !== 1) throw new Error(`${tasks.length} tasks were claimed`)
  }
  return times
}

/** What people feel of workers that do nothing but claim and complete. */
async function load(): Promise<void> {
  printHeading(`the API while ${workerCount} workers claim 4 at a time and complete`, ['p50 ms', 'p99 ms'])
  const url = await postgres.createDatabase()
  await using node = await startNode(url)
  const http = new JobsHttp(node.url)
  await prepareJobs(url, http)
  const crew = await startCrew(node)
  const until = performance.now() + loadMs
  const times = { submit: new Array<number>(), get: new Array<number>(), list: new Array<number>() }
  while (performance.now() < until) {
    times.submit.push(await timed(() => http.submit()))
    times.get.push(await timed(() => http.ask('GET', 'jobs/copy-1')))
    times.list.push(await timed(() => http.ask('GET', 'jobs?limit=50')))
    await pause(5)
  }
  const perSecond = await crew.stop()
  for (const [name, values] of Object.entries(times)) printTimes(name, values)
  printTimes('claim of up to 4 tasks', crew.claims)
  printTimes('complete of one task', crew.completions)
  console.log(`meanwhile ${Math.round(perSecond)} tasks/s, each of them a probe after which its job is planned`)
}

/** A job by the API, and copies of it. */
async function prepareJobs(url: string, http: JobsHttp): Promise<void> {
  const { id } = await http.ask<{ id: string }>('POST', 'jobs', {
    scenario: 'audio-only',
    source: { url: 'http://127.0.0.1:9/film.mp4' },
  })
  await using database = await openDatabase({ url, log })
  await copyJob(database, { id, count: jobCount })
}

async function startCrew({ url }: Millrace) {
  const claims: number[] = []
  const completions: number[] = []
  let isOver = false
  let done = 0
  const work = async (n: number): Promise<void> => {
    const worker = new RawWorker(new JobsHttp(url), `busy-${n}`)
    await worker.register()
    while (!isOver) {
      const startedAtMs = performance.now()
      const tasks = await worker.claim({ max: 4, waitMs: 0 })
      claims.push(performance.now() - startedAtMs)
      if (tasks.length === 0) return
      await Promise.all(tasks.map(async (task) => completions.push(await timed(() => worker.complete(task)))))
      done += tasks.length
    }
  }
  const startedAtMs = performance.now()
  const working = Promise.all(Array.from({ length: workerCount }, (_, n) => work(n)))
  const finished = working.then(() => (done * 1000) / (performance.now() - startedAtMs))
  const stop = async (): Promise<number> => {
    isOver = true
    return await finished
  }
  return { claims, completions, finished, stop }
}

/** By the store alone, and through the API. */
async function queue(): Promise<void> {
  for (const isBehind of [false, true]) {
    const title = isBehind ? '60,000 ready tasks behind 40,000 that nobody can do' : '60,000 ready tasks'
    printHeading(`claim of one task, ${title}`, ['p50 ms', 'p99 ms'])
    const url = await postgres.createDatabase()
    await using database = await openDatabase({ url, log })
    const store = sqlJobStore(database, benchPolicy)
    await fillQueue(database, store, { isBehind })
    await claimTimes(store, { id: 'first', count: warmups })
    printTimes('the store', await claimTimes(store, { id: 'alone', count: samples }))
    const together = Array.from({ length: workerCount }, (_, n) => claimTimes(store, { id: `many-${n}`, count: samples }))
    printTimes(`  ${workerCount} at once`, (await Promise.all(together)).flat())
    await using node = await startNode(url)
    const worker = new RawWorker(new JobsHttp(node.url), 'over-http')
    await worker.register()
    const times: number[] = []
    for (let n = 0; n < samples + warmups; n++) {
      const ms = await timed(() => worker.claim({ max: 1, waitMs: 0 }))
      if (n >= warmups) times.push(ms)
    }
    printTimes('HTTP', times)
  }
}

/** Tasks that do nothing, taken and ended by eight workers. */
async function throughput(): Promise<void> {
  printHeading(`tasks that do nothing, ${workerCount} workers`, ['tasks/s', 'server cpu', 'millrace does'])
  const url = await postgres.createDatabase()
  await using database = await openDatabase({ url, log })
  const store = sqlJobStore(database, benchPolicy)
  await fillQueue(database, store, { isBehind: false })
  const ours = await taskThroughput(store, { workers: workerCount, tasksEach: jobCount / workerCount })
  printRow('millrace, its store', [ours.toFixed(0), ''])
  printRow('millrace, HTTP', await httpThroughput())
  for (const [name, start] of peers.slice(0, 2)) {
    await using peer = await start(await postgres.createEmptyDatabase())
    const theirs = await peer.throughput(jobCount)
    printRow(name.replace(', LISTEN/NOTIFY', ''), [theirs.toFixed(0), '', `× ${(ours / theirs).toFixed(2)}`])
  }
  console.log(
    'the store and pg-boss take 4 at a time; graphile-worker has 8 handlers. A task of millrace counts slots, leases, attempts and its job;',
  )
  console.log('by HTTP each is a probe, whose end also plans the job and adds two tasks')
}

async function httpThroughput(): Promise<string[]> {
  const url = await postgres.createDatabase()
  await using node = await startNode(url)
  await prepareJobs(url, new JobsHttp(node.url))
  const pids = [node.process.pid ?? 0]
  const before = { ...usageOf(pids), atMs: performance.now() }
  const crew = await startCrew(node)
  const perSecond = await crew.finished
  const cores = ((usageOf(pids).cpuSeconds - before.cpuSeconds) * 1000) / (performance.now() - before.atMs)
  return [perSecond.toFixed(0), cores.toFixed(2)]
}

async function timed(step: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now()
  await step()
  return performance.now() - startedAtMs
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Others use this machine as well. */
function printHeading(title: string, columns: readonly string[]): void {
  console.log(`\n${title} (load ${loadavg()[0]?.toFixed(1)})`)
  printRow('', columns)
}

/** `ours`: of the same work by Millrace; the ratio is that of the medians. */
function printTimes(name: string, times: readonly number[], ours?: readonly number[]): void {
  const figures = [percentile(times, 0.5), percentile(times, 0.99)]
  const ratio = ours === undefined ? [] : [`× ${(percentile(ours, 0.5) / percentile(times, 0.5)).toFixed(2)}`]
  printRow(name, [...figures.map((figure) => figure.toFixed(2)), ...ratio])
}

function printRow(name: string, figures: readonly string[]): void {
  console.log(name.padEnd(34) + figures.map((text) => text.padStart(16)).join(''))
}
