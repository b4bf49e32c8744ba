import assert from 'node:assert/strict'
import { sql } from 'kysely'
import type {
  ClaimedTask,
  Completion,
  CompletionVerdict,
  Effects,
  Failure,
  HeldTask,
  JobStore,
  NewJob,
  NewNode,
  NewTask,
  SchedulerPolicy,
  WorkerRef,
} from '#jobs/job-store.ts'
import type { JobRow, TaskRow } from '#jobs/model.ts'
import { sqlJobStore } from '#jobs/sql/sql-job-store.ts'
import type { Database } from '#store/sql/schema.ts'

export const policy: SchedulerPolicy = {
  maxAttempts: 3,
  maxLost: 3,
  retryFirstMs: 5_000,
  retryMaxMs: 60_000,
  staleMs: { live: 60_000, default: 600_000, batch: 600_000 },
  unheldMs: 20_000,
  ageMs: 120_000,
}
export const leaseMs = 30_000
export const keptMs = 3_600_000

/** What the suites need of a database. */
export interface JobServer extends AsyncDisposable {
  readonly name: 'SQLite' | 'PostgreSQL'
  /** A new, empty database; `open` gives connections of their own each time. */
  createFleet(): Promise<{ open(): Promise<Database> }>
}

/** A test's own fleet: the store, and workers that speak with it. */
export class TestFleet implements AsyncDisposable {
  readonly store: JobStore
  readonly database: Database
  readonly #open: () => Promise<Database>
  readonly #opened: Database[]
  #jobs = 0

  static async create(server: JobServer): Promise<TestFleet> {
    const fleet = await server.createFleet()
    return new TestFleet(() => fleet.open(), await fleet.open())
  }

  private constructor(open: () => Promise<Database>, database: Database) {
    this.#open = open
    this.#opened = [database]
    this.database = database
    this.store = sqlJobStore(database, policy, { keptMs })
  }

  /** Another process on the same database. */
  async openAnother(): Promise<JobStore> {
    const database = await this.#open()
    this.#opened.push(database)
    return sqlJobStore(database, policy, { keptMs })
  }

  async submit(rest: Partial<NewJob> = {}): Promise<JobRow> {
    return (await this.store.submit(this.newJob(rest))).job
  }

  newJob(rest: Partial<NewJob> = {}): NewJob {
    this.#jobs += 1
    return {
      id: `job-${String(this.#jobs).padStart(6, '0')}`,
      tenant: 'a',
      scenario: 'test',
      queue: 'default',
      priority: 'medium',
      label: undefined,
      input: { source: 'x' },
      idempotencyKey: undefined,
      deadlineMs: undefined,
      firstTask: newTask({ kind: 'probe' }),
      ...rest,
    }
  }

  async worker(rest: Partial<NewNode> = {}, store = this.store): Promise<TestWorker> {
    const worker = new TestWorker(store, rest)
    await worker.register()
    return worker
  }

  /** A job whose probe is done; `tasks` are ready or wait for each other. */
  async planned(worker: TestWorker, tasks: readonly NewTask[], rest: Partial<NewJob> = {}): Promise<JobRow> {
    const job = await this.submit(rest)
    const [probe] = await worker.claim(1)
    assert.equal(probe?.jobId, job.id)
    assert.equal(await worker.done(probe, { expansion: { plan: { of: job.id }, tasks } }), 'done')
    return job
  }

  async job(id: string): Promise<JobRow> {
    const job = await this.store.findJob(id)
    assert(job, `no job ${id}`)
    return job
  }

  async states(jobId: string): Promise<Record<string, string>> {
    const tasks = await this.store.listTasks(jobId)
    return Object.fromEntries(tasks.map((task) => [nameOf(task), task.state]))
  }

  async task(jobId: string, name: string): Promise<TaskRow> {
    const task = (await this.store.listTasks(jobId)).find((one) => nameOf(one) === name)
    assert(task, `no task ${name}`)
    return task
  }

  async outcomes(jobId: string): Promise<string[]> {
    return (await this.store.listAttempts(jobId)).map((attempt) => `${nameOf(attempt)} ${attempt.outcome}`)
  }

  async node(id: string) {
    const node = (await this.store.listNodes()).find((one) => one.id === id)
    assert(node, `no node ${id}`)
    return node
  }

  /** The database's clock cannot be set, so all that it has noted moves into the past. */
  async pass(ms: number): Promise<void> {
    const columns = {
      nodes: ['lease_until_ms', 'seen_at_ms', 'registered_at_ms'],
      tasks: ['run_after_ms', 'aged_at_ms', 'leased_at_ms', 'held_at_ms', 'progress_at_ms', 'finished_at_ms'],
      jobs: ['created_at_ms', 'started_at_ms', 'finished_at_ms', 'deadline_at_ms'],
      duties: ['expires_at_ms'],
    }
    for (const [table, names] of Object.entries(columns)) {
      const changes = names.map((name) => sql`${sql.ref(name)} = ${sql.ref(name)} - ${sql.lit(ms)}`)
      await sql`update ${sql.table(table)} set ${sql.join(changes)}`.execute(this.database.db)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const database of this.#opened) await database[Symbol.asyncDispose]()
  }
}

/** A worker as the store sees it: what it holds is what it was given. */
export class TestWorker {
  readonly store: JobStore
  readonly node: NewNode
  readonly held = new Map<number, HeldTask>()
  readonly effects: Effects[] = []
  epoch = 0

  constructor(store: JobStore, rest: Partial<NewNode> = {}) {
    this.store = store
    const node = { id: 'w1', name: 'worker', version: '1', roles: ['worker'], slots: 4, liveReserve: 0, capabilities: ['cpu'] }
    this.node = { ...node, leaseMs, ...rest }
  }

  get ref(): WorkerRef {
    return { nodeId: this.node.id, epoch: this.epoch }
  }

  async register(): Promise<void> {
    const answer = await this.store.registerNode(this.node)
    this.epoch = answer.epoch
    this.held.clear()
    this.effects.push(answer)
  }

  async claim(max = 64): Promise<readonly ClaimedTask[]> {
    const answer = await this.store.claim({ ...this.ref, max })
    for (const { id, fence } of answer.tasks) this.held.set(id, { taskId: id, fence, frames: 0, speed: 0 })
    this.effects.push(answer)
    return answer.tasks
  }

  /** Claims one that must be there. */
  async claimOne(): Promise<ClaimedTask> {
    const [task] = await this.claim(1)
    assert(task, 'nothing to claim')
    return task
  }

  async done(
    { id, fence }: Pick<ClaimedTask, 'id' | 'fence'>,
    rest: Partial<Completion> = {},
  ): Promise<CompletionVerdict | undefined> {
    const answer = await this.store.complete([{ ...this.ref, taskId: id, fence, output: { by: this.node.id }, ...rest }])
    this.held.delete(id)
    this.effects.push(answer)
    return answer.verdicts[0]
  }

  async fail({ id, fence }: Pick<ClaimedTask, 'id' | 'fence'>, rest: Partial<Failure> = {}): Promise<boolean> {
    const failure = { kind: 'transient', code: 'CODEC_FAILED', message: 'on purpose' } as const
    const answer = await this.store.fail({ ...this.ref, taskId: id, fence, ...failure, ...rest })
    this.held.delete(id)
    this.effects.push(answer)
    return answer.isTaken
  }

  async beat(held: readonly HeldTask[] = [...this.held.values()]) {
    const answer = await this.store.heartbeat({ ...this.ref, leaseMs, load: undefined, held })
    this.effects.push(answer)
    for (const { taskId } of answer.stop) this.held.delete(taskId)
    return answer
  }

  /** Moves frames of what it holds, and says so. */
  async progress({ id }: Pick<ClaimedTask, 'id'>, frames: number) {
    const held = this.held.get(id)
    assert(held, `worker does not hold ${id}`)
    this.held.set(id, { ...held, frames, speed: 2 })
    return await this.beat()
  }

  /** Changes of state that came with its answers. */
  get changes(): string[] {
    return this.effects.flatMap(({ changes }) => changes.map(({ from, to }) => `${from} → ${to}`))
  }
}

export function newTask(rest: Partial<NewTask> & Pick<NewTask, 'kind'>): NewTask {
  return { rendition: '', chunk: 0, after: [], needs: [], cost: 1, totalFrames: 0, ...rest }
}

/** Chunks of a rendition, and a package that waits for all of them. */
export function chunksAndPackage(count: number, rest: Partial<NewTask> = {}): NewTask[] {
  const chunks = Array.from({ length: count }, (_, chunk) =>
    newTask({ kind: 'video', rendition: '720p', chunk, totalFrames: 100, ...rest }),
  )
  return [...chunks, newTask({ kind: 'package', after: chunks.map((task) => `video/${task.rendition}/${task.chunk}`) })]
}

/** `video/720p/3`, or `probe` for one that is alone. */
export function nameOf({ kind, rendition, chunk }: Pick<TaskRow, 'kind' | 'rendition' | 'chunk'>): string {
  return rendition === '' ? kind : `${kind}/${rendition}/${chunk}`
}
