/** A control node and its workers, each a process with FFmpeg in processes of its own, and a way to stop one of those in the middle of what it does. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { Value } from 'typebox/value'
import type { JobView } from '#api/job-contract.ts'
import { cleanJobs } from '#jobs/scheduler/job-cleaning.ts'
import type { JobStore } from '#jobs/job-store.ts'
import type { AttemptRow, NodeRow, TaskKind, TaskRow } from '#jobs/model.ts'
import { jobsSettingsSchema, schedulerPolicy } from '#jobs/settings.ts'
import { sqlJobStore } from '#jobs/sql/sql-job-store.ts'
import { findResult, parseOutput } from '#jobs/scheduler/stored-values.ts'
import { systemClock } from '#lib/clock.ts'
import { createLog } from '#lib/log.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { objectsSettingsSchema, type ObjectsSettings } from '#store/settings.ts'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { startFileServer } from '../../support/file-server.ts'
import { checkFleetAtRest } from '../../support/fleet-invariants.ts'
import { FleetApi, startControl, startWorker } from '../../support/fleet.ts'
import { makeMp4 } from '../../support/job-files.ts'
import type { Millrace, MillraceOptions } from '../../support/program.ts'
import { temporaryDirectory } from '../../support/temp-directory.ts'
import { until } from '../../support/until.ts'
import { codecProcessesOf, signalGroup } from './codec-processes.ts'

/** Two chunks of two seconds and one track of sound: tasks probe, video × 2, audio, package. */
const quickScenario = {
  name: 'quick',
  renditions: [{ name: '180p', height: 180, codec: 'h264', preset: 'ultrafast', rate: { mode: 'crf', crf: 30 } }],
  audio: { codec: 'aac', bitsPerSecond: 64_000, channels: 2, sampleRate: 48_000, normalize: false },
  chunkSeconds: 2,
  gopSeconds: 1,
  segmentSeconds: 2,
  pictures: false,
}
const sourceSeconds = 4
const log = createLog({ level: 'silent', pretty: false })

type JobFleetOptions = {
  /** Of the control node. */
  readonly env?: Readonly<Record<string, string>>
  /** Of the bucket, when objects are in S3. */
  readonly objects?: ObjectsSettings & { readonly bucket: string }
}

/** A codec process that stands still. */
type CaughtCodec = {
  readonly workerId: string
  readonly worker: Millrace
  readonly task: TaskRow
  readonly pid: number
  readonly thaw: () => void
}

export class JobFleet implements AsyncDisposable {
  readonly control: Millrace
  readonly api: FleetApi
  readonly database: Database
  readonly store: JobStore
  readonly objects: ObjectStore
  readonly sourceUrl: string
  readonly workers = new Map<string, Millrace>()
  readonly #stack: AsyncDisposableStack
  readonly #killed = new Set<string>()
  readonly #submitted: string[] = []

  private constructor(parts: Pick<JobFleet, 'control' | 'database' | 'objects' | 'sourceUrl'>, stack: AsyncDisposableStack) {
    this.control = parts.control
    this.database = parts.database
    this.objects = parts.objects
    this.sourceUrl = parts.sourceUrl
    this.api = new FleetApi(this.control)
    this.store = sqlJobStore(this.database, schedulerPolicy(Value.Create(jobsSettingsSchema)))
    this.#stack = stack
  }

  static async open({ env = {}, objects }: JobFleetOptions = {}): Promise<JobFleet> {
    await using stack = new AsyncDisposableStack()
    const directory = stack.use(await temporaryDirectory())
    await makeMp4(directory.path, { seconds: sourceSeconds })
    const server = stack.use(await startFileServer(directory.path))
    const control = stack.use(await startControl({ env: { ...env, ...objectsEnvironment(objects) } }))
    const dataDirectory = `${control.directory}/data`
    const database = stack.use(await openDatabase({ url: sqliteUrl(`${dataDirectory}/millrace.sqlite`), log }))
    const settings = objects ?? Value.Create(objectsSettingsSchema)
    const store = stack.use(await openObjectStore(settings, { dataDirectory, clock: systemClock, log }))
    const parts = { control, database, objects: store, sourceUrl: `${server.url}/plain.mp4` }
    const fleet = new JobFleet(parts, stack.move())
    await fleet.#prepare()
    return fleet
  }

  /** A worker with one slot, unless said otherwise: what it does is one task. Waits until it takes work. */
  async addWorker(
    id: string,
    { url = this.control.url, ...options }: MillraceOptions & { url?: string } = {},
  ): Promise<Millrace> {
    const env = { MILLRACE_WORKER_ID: id, MILLRACE_WORKER_SLOTS: '1', ...options.env }
    const worker = this.#stack.use(await startWorker([url], { ...options, env }))
    this.workers.set(id, worker)
    await this.untilActive(id)
    return worker
  }

  /** Ends the process of a worker as a crash would; its codec processes find out by themselves. */
  async kill(workerId: string): Promise<void> {
    await this.#worker(workerId).kill('SIGKILL')
    this.#killed.add(workerId)
  }

  /** `draining`: it takes nothing new. */
  async setState(workerId: string, state: 'draining' | 'active'): Promise<void> {
    const action = state === 'draining' ? 'drain' : 'activate'
    const response = await fetch(`${this.control.url}/api/v1/nodes/${workerId}/${action}`, { method: 'POST' })
    assert.equal(response.status, 200, await response.text())
  }

  /** Starts a worker that was killed. It registers when it has found out what it can do. */
  async restart(workerId: string): Promise<void> {
    await this.#worker(workerId).start()
    this.#killed.delete(workerId)
  }

  /** Waits until all workers take work. */
  async untilAllActive(): Promise<void> {
    for (const id of this.workers.keys()) await this.untilActive(id)
  }

  async untilActive(id: string): Promise<void> {
    const isActive = async () => (await this.store.listNodes()).some((node) => node.id === id && node.state === 'active')
    await until(isActive, { what: `worker ${id} to be active`, timeoutMs: 60_000 })
  }

  async submit(more: Readonly<Record<string, unknown>> = {}): Promise<JobView> {
    const job = await this.api.submit({ scenario: quickScenario.name, source: { url: this.sourceUrl }, ...more })
    this.#submitted.push(job.id)
    return job
  }

  /** Jobs that were submitted so far, by id. */
  get submitted(): readonly string[] {
    return [...this.#submitted]
  }

  async completed(jobId: string): Promise<JobView> {
    return await this.api.untilState(jobId, 'completed')
  }

  /** The first codec process that does such a task of this job, stopped in it. Each worker must have one slot. */
  async catchCodec(jobId: string, kind: TaskKind): Promise<CaughtCodec> {
    return await until(async () => await this.#findCodec(jobId, kind), { what: `a ${kind} task to run`, timeoutMs: 60_000 })
  }

  async task(jobId: string, { kind, chunk }: Pick<TaskRow, 'kind' | 'chunk'>): Promise<TaskRow> {
    const found = (await this.store.listTasks(jobId)).find((task) => task.kind === kind && task.chunk === chunk)
    return found ?? assert.fail(`job ${jobId} has no task ${kind}/${chunk}`)
  }

  async node(id: string): Promise<NodeRow> {
    const found = (await this.store.listNodes()).find((node) => node.id === id)
    return found ?? assert.fail(`there is no node ${id}`)
  }

  /** Attempts of a job, oldest first, as `kind/chunk outcome`. */
  async outcomes(jobId: string, kind: TaskKind): Promise<readonly string[]> {
    return (await this.attempts(jobId))
      .filter((attempt) => attempt.kind === kind)
      .map(({ chunk, outcome }) => `${chunk} ${outcome}`)
  }

  async attempts(jobId: string): Promise<readonly AttemptRow[]> {
    return await this.store.listAttempts(jobId)
  }

  /** SHA-256 of all that a completed job made: of what is in chunks, by task, and of published files, by name. */
  async digests(jobId: string): Promise<Readonly<Record<string, string>>> {
    const made = (await this.store.outputsOf(jobId)).flatMap((task) => {
      const { output } = parseOutput(task)
      const isChunk = output.kind === 'video' || output.kind === 'audio'
      return isChunk ? [[`${task.kind}/${task.rendition}/${task.chunk}`, output.facts.sha256] as const] : []
    })
    const result = findResult((await this.store.findJob(jobId))?.result) ?? assert.fail(`job ${jobId} has no result`)
    const published = await Promise.all(
      result.files.map(async ({ name }) => {
        const { stream } = await this.objects.get(result.prefix + name)
        return [
          name,
          createHash('sha256')
            .update(await buffer(stream))
            .digest('hex'),
        ] as const
      }),
    )
    return Object.fromEntries([...made, ...published])
  }

  /** Keys of all objects of a job. */
  async objectsOf(jobId: string): Promise<readonly string[]> {
    return (await this.objects.list({ prefix: `jobs/${jobId}/` })).objects.map(({ key }) => key)
  }

  /** What the control node does now and then, now. */
  async clean(): Promise<void> {
    await cleanJobs(this)
  }

  /** When nobody works any more, everything holds that must. */
  async checkAtRest({ robbed = [] }: { robbed?: readonly string[] } = {}): Promise<void> {
    await checkFleetAtRest(this, { submitted: this.#submitted, robbed })
  }

  /** The logs of all nodes, for `showOutputOnFailure`. */
  output(): string {
    const nodes = [['control', this.control] as const, ...this.workers]
    return nodes.map(([name, node]) => `--- ${name} ---\n${node.output()}`).join('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]()
  }

  #worker(id: string): Millrace {
    return this.workers.get(id) ?? assert.fail(`there is no worker ${id}`)
  }

  async #prepare(): Promise<void> {
    const response = await fetch(`${this.control.url}/api/v1/scenarios`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(quickScenario),
    })
    assert.equal(response.status, 201, await response.text())
    // From now on jobs are cleaned when a test says so, and not when half a minute is over.
    const farAway = { holder: 'test', expires_at_ms: Date.now() + 3_600_000 }
    const isTaken = async () => {
      const { numUpdatedRows } = await this.database.db
        .updateTable('duties')
        .set(farAway)
        .where('name', '=', 'jobs.clean')
        .executeTakeFirst()
      return numUpdatedRows > 0
    }
    await until(isTaken, { what: 'the duty of cleaning' })
  }

  async #findCodec(jobId: string, kind: TaskKind): Promise<CaughtCodec | undefined> {
    for (const [workerId, worker] of this.workers) {
      const workerPid = this.#killed.has(workerId) ? undefined : worker.process.pid
      const [pid] = workerPid === undefined ? [] : await codecProcessesOf(workerPid)
      if (pid === undefined) continue
      signalGroup(pid, 'SIGSTOP')
      // A process that stands still cannot end its task: what the database says now stays true.
      const tasks = await this.store.listTasks(jobId)
      const task = tasks.find((one) => one.state === 'leased' && one.nodeId === workerId && one.kind === kind)
      if (task) return { workerId, worker, task, pid, thaw: () => signalGroup(pid, 'SIGCONT') }
      signalGroup(pid, 'SIGCONT')
    }
    return undefined
  }
}

function objectsEnvironment(objects: JobFleetOptions['objects']): Record<string, string> {
  if (!objects) return {}
  return {
    MILLRACE_OBJECTS_BUCKET: objects.bucket,
    MILLRACE_OBJECTS_ENDPOINT: objects.endpoint ?? '',
    MILLRACE_OBJECTS_ACCESS_KEY_ID: objects.accessKeyId ?? '',
    MILLRACE_OBJECTS_SECRET_ACCESS_KEY: objects.secretAccessKey ?? '',
  }
}
