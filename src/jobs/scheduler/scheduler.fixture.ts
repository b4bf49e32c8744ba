/** A scheduler over a real database and a real directory of objects, and workers that only say that they work. */
import { join } from 'node:path'
import { pino } from 'pino'
import type { SourceProbe } from '#codec/transcoding.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import { systemTimers } from '#lib/timers.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { partUpload } from '#store/objects/part-upload.ts'
import { openDatabase } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import type { JobEvent } from './job-changes.ts'
import { localHints } from './job-hints.ts'
import type { JobStore, SchedulerPolicy, WorkerRef } from '../job-store.ts'
import { planJob } from '../plan/plan-job.ts'
import { sqlScenarioStore } from '../scenarios/scenario-store.ts'
import { parseScenario } from '../scenarios/parse-scenario.ts'
import { ScenarioRegistry } from '../scenarios/registry.ts'
import { Scheduler, type SchedulerDeps } from './scheduler.ts'
import { sqlJobLogs } from '../sql/sql-job-logs.ts'
import { sqlJobStore } from '../sql/sql-job-store.ts'
import { TaskLeases } from '../sql/sql-task-leases.ts'
import type { JobMedia, WorkerAccess } from './worker-access.ts'
import type { FinishedUpload, TaskOutput, WorkerTask } from '../worker-protocol.ts'

export const silentLog = pino({ level: 'silent' })

export const testPolicy: SchedulerPolicy = {
  maxAttempts: 3,
  maxLost: 3,
  retryFirstMs: 10,
  retryMaxMs: 20,
  staleMs: { live: 60_000, default: 60_000, batch: 60_000 },
  unheldMs: 60_000,
  ageMs: 60_000,
}

/** Ten seconds of 640 × 360 at 25 frames, with sound. */
export const testProbe: SourceProbe = {
  format: 'mov,mp4,m4a,3gp,3g2,mj2',
  durationMs: 10_000,
  sizeBytes: 5,
  video: {
    codec: 'h264',
    width: 640,
    height: 360,
    pixelFormat: 'yuv420p',
    bitDepth: 8,
    pixelAspect: { num: 1, den: 1 },
    frameRate: { num: 25, den: 1 },
    isVariableRate: false,
    frameCount: 250,
    rotationDegrees: 0,
    fieldOrder: 'progressive',
    color: { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' },
    keyframeCount: 10,
    longestGopMs: 1000,
    startMs: 0,
  },
  audio: [{ track: 0, codec: 'aac', channels: 2, sampleRate: 48_000, startMs: 0, durationMs: 10_000 }],
}

/** Two chunks of five seconds, one sound, pictures. */
const tiny = parseScenario({
  name: 'tiny',
  renditions: [{ name: '360p', height: 360, codec: 'h264', rate: { mode: 'crf', crf: 30 }, preset: 'ultrafast' }],
  audio: { codec: 'aac', bitsPerSecond: 96_000, channels: 2, sampleRate: 48_000, normalize: false },
  chunkSeconds: 5,
  gopSeconds: 1,
  segmentSeconds: 2,
})

const tinyLive = parseScenario({
  name: 'tiny-live',
  kind: 'live',
  renditions: [
    {
      name: '360p',
      height: 360,
      codec: 'h264',
      rate: { mode: 'average', bitsPerSecond: 500_000, maxBitsPerSecond: 600_000, bufferMs: 1000 },
    },
  ],
})

const allCapabilities = ['encoder:libx264', 'encoder:aac', 'encoder:libopus']

export type TestFleet = AsyncDisposable & {
  readonly database: Database
  readonly store: JobStore
  readonly objects: ObjectStore
  readonly scenarios: ScenarioRegistry
  readonly scheduler: Scheduler
  /** As they were told, of jobs and nodes. */
  readonly events: readonly JobEvent[]
  /** Key of an object that jobs can be made from. */
  readonly source: string
  addWorker(id: string, options?: { slots?: number; capabilities?: readonly string[] }): Promise<TestWorker>
}

/** `deps` replaces parts of the scheduler. `database` is used and closed in place of one in memory. */
export async function openFleet({
  deps = {},
  policy = testPolicy,
  database: given,
}: { deps?: Partial<SchedulerDeps>; policy?: SchedulerPolicy; database?: Database } = {}): Promise<TestFleet> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const database = stack.use(given ?? (await openDatabase({ url: 'sqlite::memory:', log: silentLog })))
  const objects = stack.use(await DirectoryStore.open({ directory: join(path, 'objects'), clock: systemClock }))
  const store = sqlJobStore(database, policy)
  const stored = sqlScenarioStore(database.db, { nowMs: () => systemClock.nowMs() })
  const scenarios = new ScenarioRegistry({ file: [tiny, tinyLive], stored })
  const events: JobEvent[] = []
  const scheduler = stack.use(
    new Scheduler({
      store,
      objects,
      scenarios,
      planJob,
      leases: new TaskLeases(database),
      media: testMedia,
      logs: sqlJobLogs(database),
      events: { append: (event) => void events.push(event) },
      observer: { jobChanged: () => {}, claimed: () => {} },
      hints: localHints,
      settings: { leaseMs: 30_000, heartbeatMs: 5_000, retentionMs: 7 * 86_400_000, maxWaitingJobs: 1000 },
      nodeId: 'test',
      newId: () => newId(Date.now()),
      clock: systemClock,
      timers: systemTimers,
      log: silentLog,
      ...deps,
    }),
  )
  const source = 'sources/1/film.mp4'
  await objects.put(source, Buffer.from('movie'))
  const owned = stack.move()
  return {
    database,
    store,
    objects,
    scenarios,
    scheduler,
    events,
    source,
    async addWorker(id, { slots = 8, capabilities = allCapabilities } = {}) {
      const facts = { id, name: id, version: '1', slots, liveReserve: 0, capabilities: [...capabilities] }
      const { epoch } = await scheduler.work.register(facts)
      return new TestWorker({ scheduler, objects, ref: { nodeId: id, epoch } })
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const testMedia: JobMedia = {
  recordingUrl: async ({ stream }) => `/recordings/${stream}`,
  async liveLink({ source, target }, host) {
    if (source === 'nobody') throw new AppError('STREAM_NOT_FOUND', 'no stream is called "nobody"')
    return { sourceUrl: `rtsp://${host}/${source}`, targetUrl: `rtsp://${host}/${target}`, width: 1280, height: 720 }
  },
}

const access: WorkerAccess = {
  urls: { get: async (key) => `get:${key}`, put: async ({ uploadId }, part) => `put:${uploadId}/${part}` },
  host: 'millrace.test',
}

/** Says what a worker says, and puts files as one does. */
export class TestWorker {
  readonly ref: WorkerRef
  readonly #scheduler: Scheduler
  readonly #objects: ObjectStore

  constructor({ scheduler, objects, ref }: { scheduler: Scheduler; objects: ObjectStore; ref: WorkerRef }) {
    this.#scheduler = scheduler
    this.#objects = objects
    this.ref = ref
  }

  async claim({ max = 8, waitMs = 0, signal = new AbortController().signal } = {}): Promise<WorkerTask[]> {
    const { tasks } = await this.#scheduler.work.claim(this.ref, { max, waitMs, access, signal })
    return tasks
  }

  /** Claims until there is something. */
  async claimSoon(): Promise<WorkerTask[]> {
    return await until(async () => {
      const tasks = await this.claim()
      return tasks.length > 0 ? tasks : undefined
    })
  }

  /** Claims one task; throws when there is none. */
  async take(): Promise<WorkerTask> {
    const [task] = await this.claim({ max: 1 })
    if (task === undefined) throw new Error('nothing to claim')
    return task
  }

  async heartbeat(held: readonly WorkerTask[] = [], { frames = 0 } = {}) {
    return await this.#scheduler.work.heartbeat(this.ref.nodeId, {
      epoch: this.ref.epoch,
      load: { cpuPercent: 1, memoryBytes: 1, freeDiskBytes: 1 },
      held: held.map(({ taskId, fence }) => ({ taskId, fence, frames, speed: 1 })),
    })
  }

  /** Puts files of a task, each with its own name as content. */
  async put(task: WorkerTask, names: readonly string[]): Promise<FinishedUpload[]> {
    const files = names.map((name) => ({ name, sizeBytes: name.length, contentType: 'video/mp4' }))
    const lease = { ...this.ref, taskId: task.taskId, fence: task.fence }
    const uploads = await this.#scheduler.work.openUploads(lease, { files, access })
    const folder = folderOf(task)
    return await Promise.all(
      uploads.map(async ({ name, uploadId }) => {
        const sizeBytes = name.length
        const upload = partUpload({ key: folder + name, uploadId, sizeBytes })
        const etag = await this.#objects.putPart(upload, 0, Buffer.from(name))
        return { name, uploadId, etags: [etag], sizeBytes }
      }),
    )
  }

  async complete(task: WorkerTask, { output, uploads }: { output: TaskOutput; uploads: FinishedUpload[] }) {
    const lease = { ...this.ref, taskId: task.taskId, fence: task.fence }
    return await this.#scheduler.work.complete(lease, { epoch: this.ref.epoch, fence: task.fence, output, uploads })
  }

  /** Does what the order asks for, as far as anybody can see from outside. */
  async finish(task: WorkerTask) {
    return await this.complete(task, { output: outputOf(task), uploads: await this.put(task, namesOf(task)) })
  }

  async fail(task: WorkerTask, { code, message = 'no', badInputs }: { code: string; message?: string; badInputs?: number[] }) {
    const lease = { ...this.ref, taskId: task.taskId, fence: task.fence }
    const more = badInputs === undefined ? {} : { badInputs }
    return await this.#scheduler.work.fail(lease, { epoch: this.ref.epoch, fence: task.fence, code, message, ...more })
  }

  /** Takes and finishes tasks until there are none; gives their kinds in the order in which they were claimed. */
  async work(): Promise<string[]> {
    const kinds: string[] = []
    for (;;) {
      const tasks = await this.claim()
      if (tasks.length === 0) return kinds
      for (const task of tasks) {
        kinds.push(task.spec.kind)
        await this.finish(task)
      }
    }
  }
}

function folderOf({ jobId, taskId, fence, spec }: WorkerTask): string {
  return spec.kind === 'package' ? `jobs/${jobId}/out/${fence}/` : `jobs/${jobId}/work/${taskId}.${fence}/`
}

const packaged = ['master.m3u8', 'video-360p.mp4', 'poster.jpg']

function namesOf({ spec: { kind } }: WorkerTask): string[] {
  const names = { probe: [], video: ['chunk.mp4'], audio: ['audio.mp4'], pictures: ['poster.jpg'], package: packaged, live: [] }
  return names[kind]
}

function outputOf({ spec }: WorkerTask): TaskOutput {
  switch (spec.kind) {
    case 'probe':
      return { kind: 'probe', probe: testProbe }
    case 'video': {
      const frameCount = spec.range.endFrame - spec.range.startFrame
      return {
        kind: 'video',
        facts: { frameCount, keyframeCount: 1, sizeBytes: 9, sha256: `frames ${spec.range.startFrame}`, peakSecondBytes: 9 },
      }
    }
    case 'audio':
      return { kind: 'audio', facts: { durationMs: spec.durationMs, sizeBytes: 9, sha256: 'sound' } }
    case 'package': {
      const files = packaged.map((name) => ({ name, sizeBytes: name.length, contentType: 'video/mp4' }))
      return { kind: 'package', facts: { entry: 'master.m3u8', durationMs: 10_000, tracks: [], files } }
    }
    case 'pictures':
    case 'live':
      return { kind: spec.kind }
    default:
      return spec satisfies never
  }
}
