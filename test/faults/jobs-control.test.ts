/** The control plane under faults: two nodes over one PostgreSQL and one bucket, and workers that know both. Most jobs are encoded once for all. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { sql } from 'kysely'
import { CodecProcesses } from '#jobs/worker/codec-processes.ts'
import { codecRunners } from '#jobs/worker/codec-runners.ts'
import { WorkerClient } from '#jobs/worker/worker-client.ts'
import type { TaskRunners } from '#jobs/worker/task-runner.ts'
import { createLog } from '#lib/log.ts'
import type { Database } from '#store/sql/schema.ts'
import { addScenario, startControlPlane, submitSurely, type ControlPlane } from '../support/control-plane.ts'
import { startFileServer } from '../support/file-server.ts'
import { FleetApi } from '../support/fleet.ts'
import { checkFleetAtRest } from '../support/fleet-invariants.ts'
import { makeAudioOnly, makeSilentMp4 } from '../support/job-files.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { showOutputOnFailure } from '../support/program.ts'
import { rememberingRunners, startQuickWorker } from '../support/quick-worker.ts'
import { startS3 } from '../support/s3.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'

const silentLog = createLog({ level: 'silent', pretty: false })
const leaseMs = 5000
const patienceMs = 60_000
const quickTimes = { MILLRACE_JOBS_LEASE_SECONDS: String(leaseMs / 1000) }
const settings = { format: 'mp4', pictures: false }
const soundOnly = {
  ...settings,
  name: 'sound-only',
  renditions: [],
  audio: { codec: 'aac', bitsPerSecond: 64_000, channels: 2, sampleRate: 48_000, normalize: false },
}
const chunksPerFilm = 3
const inChunks = {
  ...settings,
  name: 'in-chunks',
  chunkSeconds: 1,
  gopSeconds: 1,
  renditions: [{ name: 'small', height: 90, codec: 'h264', rate: { mode: 'crf', crf: 35 }, preset: 'veryfast' }],
}

const stack = new AsyncDisposableStack()
after(() => stack.disposeAsync())
const postgres = stack.use(await startPostgres())
const s3 = stack.use(await startS3({ hasConditionalPuts: true }))
const directory = stack.use(await temporaryDirectory())
const files = [
  await makeAudioOnly(directory.path, { seconds: 0.5 }),
  await makeSilentMp4(directory.path, { seconds: chunksPerFilm }),
]
const sources = stack.use(await startFileServer(directory.path))
const [soundUrl, filmUrl] = files.map((path) => sources.url + path.slice(directory.path.length))
const sound = { scenario: soundOnly.name, source: { url: soundUrl } }
const film = { scenario: inChunks.name, source: { url: filmUrl } }

async function startPlane(test: TestContext, count: number): Promise<ControlPlane> {
  const plane = await startControlPlane({ postgres, s3, count, env: quickTimes })
  for (const node of plane.nodes) showOutputOnFailure(test, node)
  const [first] = plane.nodes
  if (first) for (const scenario of [soundOnly, inChunks]) await addScenario(first, scenario)
  return plane
}

/** Two workers, each with another node in mind first. */
async function startWorkers(plane: ControlPlane, { runners, slots }: { runners: TaskRunners; slots: number }) {
  await using workers = new AsyncDisposableStack()
  for (const [n, urls] of [plane.urls, plane.urls.toReversed()].entries()) {
    workers.use(await startQuickWorker({ id: `worker-${n}`, urls, slots, runners, directory: directory.path }))
  }
  return workers.move()
}

async function countJobs({ db }: Database, state = 'completed'): Promise<number> {
  const { count } = await db
    .selectFrom('jobs')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '=', state)
    .executeTakeFirstOrThrow()
  return count
}

async function untilCompleted({ database }: ControlPlane, count: number): Promise<void> {
  // The database may be away for the moment, for the test as well.
  const isDone = async (): Promise<boolean> => (await countJobs(database).catch(() => 0)) >= count
  await until(isDone, { what: `${count} jobs to be completed`, timeoutMs: patienceMs })
}

/** How attempts ended, each outcome once. */
async function outcomesOf({ db }: Database): Promise<readonly string[]> {
  const rows = await db.selectFrom('attempts').select('outcome').distinct().orderBy('outcome').execute()
  return rows.map(({ outcome }) => outcome)
}

/** All that was submitted is there once and completed, and nothing of it was counted against anybody. */
async function checkAllDone(plane: ControlPlane, submitted: readonly string[]): Promise<void> {
  await checkFleetAtRest(plane, { submitted })
  const { rows } = await sql<{ state: string; count: number }>`
    select state, count(*) as count from jobs group by state`.execute(plane.database.db)
  assert.deepEqual(rows, [{ state: 'completed', count: new Set(submitted).size }])
  const outcomes = await outcomesOf(plane.database)
  assert.deepEqual(
    outcomes.filter((outcome) => outcome !== 'done' && outcome !== 'released'),
    [],
    'no attempt failed, and no worker was taken for lost',
  )
}

test('of 200 jobs none is lost, done twice or failed while nodes of the API are killed', { timeout: 240_000 }, async (t) => {
  await using plane = await startPlane(t, 2)
  const runners = rememberingRunners(join(directory.path, 'kept'))
  await using _workers = await startWorkers(plane, { runners, slots: 6 })
  const jobCount = 200
  const ids: string[] = []
  const queue = Array.from({ length: jobCount }, (_, n) => n)
  const submitter = async (nodes: ControlPlane['nodes']): Promise<void> => {
    for (let n = queue.shift(); n !== undefined; n = queue.shift()) {
      const key = `job-${n}`
      const [one, other] = await Promise.all([submitSurely(nodes, sound, key), submitSurely(nodes.toReversed(), sound, key)])
      assert.equal(one, other, 'the same key is the same job on both nodes')
      ids.push(one)
      // So that there is something to submit throughout.
      await untilCompleted(plane, n - 60)
    }
  }
  const submitters = Promise.all([plane.nodes, plane.nodes.toReversed(), plane.nodes].map(submitter))
  for (const [n, node] of plane.nodes.entries()) {
    await untilCompleted(plane, 30 + n * 60)
    await node.kill('SIGKILL')
    await untilCompleted(plane, 60 + n * 60)
    await node.start()
  }
  await submitters
  await untilCompleted(plane, jobCount)
  assert.equal(new Set(ids).size, jobCount)
  await checkAllDone(plane, ids)
})

test('workers go on encoding while PostgreSQL is away, and nothing of it is done again', { timeout: 240_000 }, async (t) => {
  await using plane = await startPlane(t, 2)
  const chunks = new ChunkCounter(rememberingRunners(join(directory.path, 'kept-of-films')))
  await using _workers = await startWorkers(plane, { runners: chunks.runners, slots: 2 })
  const ids: string[] = []
  const submit = async (): Promise<void> => {
    for (let n = 0; n < 3; n++) ids.push(await submitSurely(plane.nodes, film, `film-${ids.length}`))
  }
  await submit()

  // Longer than a lease, and nearly as long: then leases run out in the moment in which it is back.
  for (const outageMs of [leaseMs * 1.6, leaseMs * 0.9]) {
    const begunBefore = chunks.begun
    await until(() => chunks.begun > begunBefore, { what: 'a chunk to be encoded', timeoutMs: patienceMs })
    await postgres.kill()
    const untilMs = performance.now() + outageMs
    await until(() => chunks.running === 0, { what: 'what began to be encoded', timeoutMs: patienceMs })
    await until(() => performance.now() > untilMs, { timeoutMs: patienceMs })
    await postgres.restart()
    await submit()
  }
  await untilCompleted(plane, ids.length)
  await checkAllDone(plane, ids)
  assert.equal(chunks.begun, ids.length * chunksPerFilm, 'no chunk was encoded twice')
})

test('jobs go on when PostgreSQL crashes and ends all connections', { timeout: 240_000 }, async (t) => {
  await using plane = await startPlane(t, 2)
  const runners = rememberingRunners(join(directory.path, 'kept-in-crashes'))
  await using _workers = await startWorkers(plane, { runners, slots: 4 })
  const jobCount = 48
  const ids = await Promise.all(Array.from({ length: jobCount }, (_, n) => submitSurely(plane.nodes, sound, `job-${n}`)))
  for (const [n, fault] of [terminateAll, killBackend, terminateAll, restartAtOnce, terminateAll].entries()) {
    await untilCompleted(plane, (n + 1) * 8)
    await fault(plane.database, postgres)
  }
  await untilCompleted(plane, jobCount)
  await checkAllDone(plane, ids)
})

test('another node takes over the duties of one that was killed', { timeout: 120_000 }, async (t) => {
  await using plane = await startPlane(t, 1)
  const { database, nodes } = plane
  const holderOf = async (): Promise<string | undefined> =>
    (await database.db.selectFrom('duties').select('holder').where('name', '=', 'jobs.sweep').executeTakeFirst())?.holder
  const first = await until(holderOf, { what: 'the first node to take its duties' })
  const second = await plane.addNode()
  const id = await submitSurely(nodes, sound, 'of a lost worker')
  await claimAndVanish(nodes[0]?.url ?? '')
  await nodes[0]?.kill('SIGKILL')
  await until(async () => (await holderOf()) !== first, { what: 'the second node to take over', timeoutMs: 30_000 })

  // Only a sweep gives back what the lost worker had.
  const runners = rememberingRunners(join(directory.path, 'kept-after-takeover'))
  await using _worker = await startQuickWorker({
    id: 'heir',
    urls: [second.url],
    slots: 1,
    runners,
    directory: directory.path,
  })
  await new FleetApi(second).untilState(id, 'completed')
  await checkFleetAtRest(plane, { submitted: [id] })
  assert.deepEqual(await outcomesOf(database), ['done', 'lost'])
})

/** Encodes chunks for real, and counts them. */
class ChunkCounter {
  readonly runners: TaskRunners
  #begun = 0
  #ended = 0

  constructor(others: TaskRunners) {
    const { video } = codecRunners(new CodecProcesses({ log: silentLog }))
    this.runners = {
      ...others,
      video: async (spec, context) => {
        this.#begun += 1
        try {
          return await video(spec, context)
        } finally {
          this.#ended += 1
        }
      },
    }
  }

  get begun(): number {
    return this.#begun
  }
  get running(): number {
    return this.#begun - this.#ended
  }
}

/** What an administrator does. */
async function terminateAll({ db }: Database): Promise<void> {
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`.execute(
    db,
  )
}

/** One process of the server dies; the server ends all others, recovers, and is there again. */
async function killBackend({ db }: Database): Promise<void> {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() limit 1`.execute(db)
  const pid = rows[0]?.pid
  assert.ok(pid)
  process.kill(pid, 'SIGKILL')
  const isBack = async (): Promise<boolean> =>
    await sql`select 1`.execute(db).then(
      () => true,
      () => false,
    )
  await until(isBack, { what: 'PostgreSQL to recover', timeoutMs: 30_000 })
}

async function restartAtOnce(_database: Database, server: PostgresServer): Promise<void> {
  await server.kill()
  await server.restart()
}

/** A worker that claims a task and is never heard of again. */
async function claimAndVanish(url: string): Promise<void> {
  const client = new WorkerClient({ urls: [url], log: silentLog })
  const { epoch } = await client.register({ id: 'lost', name: 'lost', version: '', slots: 1, liveReserve: 0, capabilities: [] })
  const { tasks } = await client.claim({ nodeId: 'lost', epoch }, { max: 1, waitMs: 5000 })
  assert.equal(tasks.length, 1)
}
