import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { inSpan, traceFields, type Span, type SpanAttributes, type Tracer } from '#lib/tracing.ts'
import type { HeldTask, LeaseRef, WorkerRef } from '../job-store.ts'
import { describeTask } from '../model.ts'
import type { FinishedUpload, WorkerTask } from '../worker-protocol.ts'
import { failureReportOf, type FailureReport } from './failure-report.ts'
import type { ObjectPlaces } from './object-places.ts'
import { killGroup, limitProcess, type ProcessLimits } from './process-limits.ts'
import type { Scratch } from './scratch.ts'
import type { SourceMount, SourceProxy } from './source-proxy.ts'
import type { TaskLogs } from './task-logs.ts'
import { TaskProgress } from './task-progress.ts'
import { runTask, type TaskResult, type TaskRunners } from './task-runner.ts'
import { uploadFiles } from './upload.ts'
import type { WorkerClient } from './worker-client.ts'
import type { TlsConnections } from './worker-tls.ts'

/** `told`: the API said so; `replaced`: this worker was taken for lost; `leaving`: it stops, and gives back what it has. */
export type StopReason = 'told' | 'replaced' | 'leaving'

export type RunOutcome =
  | { readonly kind: 'done' | 'repeated' | 'fenced' | 'stopped' }
  | { readonly kind: 'failed'; readonly code: string }

export type RunDeps = {
  readonly client: Pick<WorkerClient, 'announceFiles' | 'findSource' | 'complete' | 'fail' | 'addressCount'>
  readonly scratch: Scratch
  readonly proxy: SourceProxy
  readonly places: Pick<ObjectPlaces, 'findInputs' | 'adopt'>
  readonly tls?: TlsConnections | undefined
  readonly runners: TaskRunners
  readonly logs: TaskLogs
  readonly log: Logger
  readonly tracer: Tracer
  readonly limits: ProcessLimits
  /** An attempt in which neither frames nor bytes move for so long is given up. */
  readonly stallMs: number
  /** A process that was told to end and is there after this time is killed. */
  readonly stopGraceMs: number
}

type Attempt =
  | { readonly kind: 'told'; readonly outcome: RunOutcome }
  | { readonly kind: 'failed'; readonly report: FailureReport }

/**
 * One attempt of a task, from its claim until the API knows the outcome.
 *
 *   codec process ─► upload ─► complete ─► done | repeated | fenced
 *        └──────────────┴─────────┴─► fail ─► failed, or stopped when it was told to stop
 */
export class TaskRun {
  readonly task: WorkerTask
  readonly startedAtMs = performance.now()
  /** Resolves when no process works for it any more and its outcome was told, or may not be told any more. Never rejects. */
  readonly ended: Promise<RunOutcome>
  /** For people. */
  readonly #name: string
  readonly #worker: WorkerRef
  readonly #deps: RunDeps
  readonly #progress: TaskProgress
  /** From the claim until the outcome was told. */
  readonly #span: Span
  /** Ends the codec process and the upload. */
  readonly #work = new AbortController()
  /** Ends all that is said to the API. */
  readonly #talk = new AbortController()
  readonly #pids = new Set<number>()
  #stopped: StopReason | undefined

  constructor(task: WorkerTask, worker: WorkerRef, deps: RunDeps) {
    this.task = task
    this.#name = describeTask({ ...task, kind: task.spec.kind })
    this.#worker = worker
    this.#deps = deps
    this.#progress = new TaskProgress(task)
    this.#span = startSpan(task, worker, deps.tracer)
    this.ended = this.#run()
  }

  get lease(): LeaseRef {
    return { taskId: this.task.taskId, fence: this.task.fence }
  }
  get held(): HeldTask {
    return { ...this.lease, frames: this.#progress.frames, speed: this.#progress.speed }
  }

  /** Ends it at once; the first reason holds, but one that forbids to talk comes through. */
  stop(reason: StopReason): void {
    this.#stopped ??= reason
    const error = new AppError('TASK_FENCED', `task ${this.task.taskId} was stopped (${reason})`)
    this.#work.abort(error)
    if (reason !== 'told') this.#talk.abort(error)
  }

  /** Ends it with a failure of this worker. */
  giveUp(error: AppError): void {
    this.#work.abort(error)
  }

  async #run(): Promise<RunOutcome> {
    const { attempt } = this.task
    this.#tell('info', `${this.#name} begins on ${this.#worker.nodeId}${attempt > 1 ? `, attempt ${attempt}` : ''}`)
    const result = await this.#attempt().catch((error: unknown): Attempt => ({
      kind: 'failed',
      report: failureReportOf(error, this.task.inputs, undefined),
    }))
    const outcome = result.kind === 'told' ? result.outcome : await this.#tellFailure(result.report)
    const seconds = ((performance.now() - this.startedAtMs) / 1000).toFixed(1)
    if (outcome.kind !== 'failed') this.#tell('info', `${this.#name} ${endWords[outcome.kind]} after ${seconds} s`)
    this.#span.set({ 'millrace.task.outcome': outcome.kind, 'millrace.task.frames': this.#progress.frames })
    this.#span.end()
    return outcome
  }

  /** Those who look at the job see it, and whoever reads the log of this worker. */
  #tell(level: 'info' | 'error', text: string): void {
    const { taskId, jobId, attempt } = this.task
    // That a source cannot be encoded is no fault of this program.
    this.#deps.log[level === 'error' ? 'warn' : level]({ jobId, taskId, attempt, text, ...traceFields(this.#span) }, 'task')
    this.#deps.logs.add(taskId, level, text)
  }

  async #attempt(): Promise<Attempt> {
    const { scratch, proxy, places, client } = this.#deps
    const { taskId, fence, jobId, inputs } = this.task
    const { traceparent } = this.#span
    await using folder = await scratch.openFolder(`${taskId}.${fence}`)
    using mount = proxy.mount({
      jobId,
      inputs,
      paths: await places.findInputs(inputs, this.#work.signal),
      refresh: (name, signal) => client.findSource(this.#worker, this.lease, { name, signal, traceparent }),
    })
    try {
      const result = await this.#reading(mount, () => inSpan(this.#startPart('codec'), () => this.#encode(folder.path, mount)))
      const upload = this.#startPart('upload', { 'millrace.files': result.files.length })
      const uploads = await inSpan(upload, () => this.#upload(result, upload))
      const { output } = result
      const { signal } = this.#work
      const verdict = await client.complete(this.#worker, this.lease, { output, uploads, signal, traceparent })
      return { kind: 'told', outcome: { kind: verdict } }
    } catch (error) {
      return { kind: 'failed', report: failureReportOf(error, inputs, mount) }
    }
  }

  #startPart(name: string, attributes: SpanAttributes = {}): Span {
    return this.#deps.tracer.start(name, { parent: this.#span.traceparent, attributes })
  }

  /** Inputs are read while the codec works. Throws when one of them could not be: libav may take a connection that breaks for the end of the file. */
  async #reading<T>(mount: SourceMount, work: () => Promise<T>): Promise<T> {
    const span = this.#startPart('read inputs', { 'millrace.files': this.task.inputs.length })
    try {
      const result = await work()
      const [unreadable] = mount.failures
      if (unreadable) throw unreadable.error
      return result
    } finally {
      const [unreadable] = mount.failures
      if (unreadable) span.fail(unreadable.error.code, unreadable.error.message)
      span.set({ 'millrace.bytes': mount.servedBytes })
      span.end()
    }
  }

  async #encode(directory: string, mount: SourceMount): Promise<TaskResult> {
    const { runners, log } = this.#deps
    const { signal } = this.#work
    signal.throwIfAborted()
    using watches = new DisposableStack()
    watches.use(this.#watchStall(mount))
    const running = runTask(runners, this.task.spec, {
      jobId: this.task.jobId,
      directory,
      signal,
      urlOf: (name) => mount.urlOf(name),
      onProgress: (progress) => this.#progress.made(progress),
      onMoved: () => this.#progress.touch(),
      onProcess: (pid) => {
        this.#pids.add(pid)
        watches.use(limitProcess(pid, this.#limits, (error) => this.giveUp(error)))
      },
      log: log.child({ taskId: this.task.taskId }),
    })
    try {
      return await this.#within(running)
    } catch (error) {
      // The reason why it was ended says more than how it ended.
      signal.throwIfAborted()
      throw error
    }
  }

  /** The result; or an error when the process is still there long after it was told to end. */
  async #within(running: Promise<TaskResult>): Promise<TaskResult> {
    const { promise: overdue, reject } = Promise.withResolvers<never>()
    const { signal } = this.#work
    let timer: NodeJS.Timeout | undefined
    const kill = (): void => {
      for (const pid of this.#pids) killGroup(pid)
      timer = setTimeout(() => reject(new AppError('CODEC_FAILED', 'a codec process cannot be ended')), 5000)
    }
    const onAbort = (): void => {
      timer = setTimeout(kill, this.#deps.stopGraceMs)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([running, overdue])
    } finally {
      signal.removeEventListener('abort', onAbort)
      clearTimeout(timer)
    }
  }

  /** A live stream waits for nobody. */
  get #limits(): ProcessLimits {
    const { limits } = this.#deps
    return this.task.spec.kind === 'live' ? { ...limits, niceness: 0 } : limits
  }

  #watchStall(mount: SourceMount): Disposable {
    const { stallMs } = this.#deps
    let servedBytes = 0
    const look = (): void => {
      if (mount.servedBytes > servedBytes) this.#progress.touch()
      servedBytes = mount.servedBytes
      if (this.#progress.idleMs < stallMs) return
      this.giveUp(new AppError('TIMEOUT', `neither frames nor bytes moved for ${stallMs} ms; the process was ended`))
    }
    const timer = setInterval(look, Math.max(10, stallMs / 10))
    return { [Symbol.dispose]: () => clearInterval(timer) }
  }

  async #upload({ files }: TaskResult, { traceparent }: Span): Promise<FinishedUpload[]> {
    const { client, places } = this.#deps
    const { signal } = this.#work
    return await uploadFiles({
      files,
      announce: (announced) => client.announceFiles(this.#worker, this.lease, { files: announced, signal, traceparent }),
      adopt: (url, path) => places.adopt(url, path, signal),
      isMovable: client.addressCount > 1,
      tls: this.#deps.tls,
      signal,
      onProgress: (sentBytes, totalBytes) => this.#progress.sent(sentBytes, totalBytes),
    })
  }

  /** Also of a task that it was told to stop: so the API knows that its slots are free. */
  async #tellFailure(report: FailureReport): Promise<RunOutcome> {
    const { client, log } = this.#deps
    if (report.code !== 'TASK_FENCED') {
      this.#tell('error', `${this.#name} failed, ${report.code}: ${report.message}`)
      this.#span.fail(report.code, report.message)
    }
    const { traceparent } = this.#span
    try {
      const isTaken = await client.fail(this.#worker, this.lease, { ...report, signal: this.#talk.signal, traceparent })
      if (this.#stopped) return { kind: 'stopped' }
      return isTaken ? { kind: 'failed', code: report.code } : { kind: 'fenced' }
    } catch (error) {
      if (this.#stopped) return { kind: 'stopped' }
      log.error({ taskId: this.task.taskId, error: String(error) }, 'API refuses to hear of a failed task')
      return { kind: 'failed', code: report.code }
    }
  }
}

function startSpan({ spec: { kind }, traceparent, ...task }: WorkerTask, { nodeId }: WorkerRef, tracer: Tracer): Span {
  return tracer.start(`task ${kind}`, {
    parent: traceparent,
    attributes: {
      'millrace.job.id': task.jobId,
      'millrace.task.id': task.taskId,
      'millrace.task.kind': kind,
      'millrace.task.rendition': task.rendition,
      'millrace.task.chunk': task.chunk,
      'millrace.task.attempt': task.attempt,
      'millrace.node.id': nodeId,
    },
  })
}

const endWords = {
  done: 'is done',
  repeated: 'is done',
  fenced: 'was given to another worker, and dropped here',
  stopped: 'was stopped',
} as const
