import { once } from 'node:events'
import { anySignal, sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { silentTracer, type Tracer } from '#lib/tracing.ts'
import type { EncoderList } from '#codec/transcoding.ts'
import type { LeaseRef, WorkerRef } from '../job-store.ts'
import type { NodeLoad, NodeState } from '../model.ts'
import type { HeartbeatReply, Registered, WorkerTask } from '../worker-protocol.ts'
import { capabilitiesOf } from './capabilities.ts'
import { claimWork } from './claims.ts'
import { CoolDown } from './cool-down.ts'
import { keepAlive } from './heartbeats.ts'
import { MachineLoad } from './load.ts'
import { ObjectPlaces } from './object-places.ts'
import { RunningTasks } from './running-tasks.ts'
import { Scratch } from './scratch.ts'
import { Slots } from './slots.ts'
import { SourceProxy } from './source-proxy.ts'
import { TaskLogs } from './task-logs.ts'
import type { TaskRunners } from './task-runner.ts'
import type { WorkerClient } from './worker-client.ts'
import type { TlsConnections } from './worker-tls.ts'
import { silentObserver, type WorkerObserver } from './worker-observer.ts'
import { defaultTimes, type WorkerOptions, type WorkerTimes } from './worker-options.ts'

export type WorkerDeps = {
  readonly client: WorkerClient
  readonly runners: TaskRunners
  /** Finds out what the machine can do, by trying. */
  readonly detect: (signal: AbortSignal) => Promise<EncoderList>
  readonly observer?: WorkerObserver
  /** For addresses with `https:`; absent: those of Node. */
  readonly tls?: TlsConnections | undefined
  /** Absent: nothing is traced, and traces of others are carried on. */
  readonly tracer?: Tracer | undefined
  readonly log: Logger
}

/** `starting`: it is not registered yet. `lost`: the API has not answered for longer than its lease. */
export type WorkerStatus = {
  readonly state: 'starting' | 'working' | 'lost' | 'draining' | 'ended'
  readonly node: WorkerRef | undefined
  readonly slots: number
  readonly usedSlots: number
  readonly taskCount: number
  readonly capabilities: readonly string[]
  /** Why it takes no work although it could; absent: it does. */
  readonly obstacle: string | undefined
}

type Parts = { readonly scratch: Scratch; readonly proxy: SourceProxy }

/**
 * A worker of the fleet: registers, says that it lives, asks for work while it has free slots, and runs each task in a process
 * that does nothing else meanwhile.
 *
 *   starting ─► working ⇄ lost     (the API is away: what runs goes on)
 *                 │ ╲── the API took it for lost: all that runs is dropped, and it registers anew
 *                 └─► draining ─► ended
 */
export class Worker implements AsyncDisposable {
  readonly slots: Slots
  readonly #options: WorkerOptions
  readonly #times: WorkerTimes
  readonly #deps: WorkerDeps
  readonly #parts: Parts
  readonly #logs: TaskLogs
  readonly #load: MachineLoad
  readonly #coolDown: CoolDown
  readonly #running: RunningTasks
  /** No new claims. */
  readonly #leaving = new AbortController()
  /** No more heartbeats. */
  readonly #gone = new AbortController()
  /** What still runs is given back now. */
  readonly #hurry = new AbortController()
  /** Came while the worker was about to leave; they go back. */
  readonly #tooLate: LeaseRef[] = []
  readonly #life: Promise<void>
  #end: Promise<void> | undefined
  #node: (WorkerRef & { readonly leaseMs: number }) | undefined
  #nodeState: NodeState = 'active'
  #lastLoad: NodeLoad | undefined
  #heardAtMs = -Infinity
  #capabilities: readonly string[] = []
  #obstacle: string | undefined

  private constructor(options: WorkerOptions, deps: WorkerDeps, parts: Parts) {
    this.#options = options
    this.#times = { ...defaultTimes, ...options.times }
    this.#deps = deps
    this.#parts = parts
    this.slots = new Slots(options.slots)
    this.#logs = new TaskLogs(deps.log)
    this.#load = new MachineLoad(parts.scratch)
    this.#coolDown = new CoolDown({ firstMs: this.#times.coolDownFirstMs, maxMs: this.#times.coolDownMaxMs })
    const { stallMs, stopGraceMs } = this.#times
    const { client, runners, log, tls, tracer = silentTracer } = deps
    this.#running = new RunningTasks({
      slots: this.slots,
      deps: {
        ...parts,
        places: new ObjectPlaces({ log, tls }),
        client,
        tls,
        runners,
        log,
        tracer,
        logs: this.#logs,
        limits: options.limits,
        stallMs,
        stopGraceMs,
      },
      onEnded: (run, outcome) => {
        this.#coolDown.note(outcome)
        this.#observer.onTaskEnded(run, outcome)
      },
    })
    this.#life = this.#live()
  }

  /** Begins in the background; the API need not be there yet. Throws what the scratch directory throws. */
  static async start(options: WorkerOptions, deps: WorkerDeps): Promise<Worker> {
    const { scratchDirectory: directory, id: workerId, minFreeBytes, sourceCacheBytes: cacheBytes } = options
    const scratch = await Scratch.open({ directory, workerId, minFreeBytes })
    const onBytes = (bytes: number): void => (deps.observer ?? silentObserver).onSourceBytes(bytes)
    const proxy = await SourceProxy.open({ ...(cacheBytes !== undefined && { cacheBytes }), onBytes, tls: deps.tls })
    return new Worker(options, deps, { scratch, proxy })
  }

  get status(): WorkerStatus {
    return {
      state: this.#state(),
      node: this.#node,
      slots: this.slots.total,
      usedSlots: this.slots.used,
      taskCount: this.#running.size,
      capabilities: this.#capabilities,
      obstacle: this.#obstacle,
    }
  }

  /** Of the machine, when it was told last; undefined before that. */
  get load(): NodeLoad | undefined {
    return this.#lastLoad
  }

  /** Kinds of the tasks that run, for metrics. */
  get runningKinds(): readonly string[] {
    return this.#running.runs.map(({ task }) => task.spec.kind)
  }

  /** Takes no new work, finishes what runs within `withinMs`, gives back the rest, and ends. Asked again, the shorter time holds. */
  async drain(withinMs: number): Promise<void> {
    this.#leaving.abort()
    const timer = setTimeout(() => this.#hurry.abort(), withinMs)
    this.#end ??= this.#leave()
    try {
      await this.#end
    } finally {
      clearTimeout(timer)
    }
  }

  /** A drain within the configured time. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(this.#options.drainMs)
  }

  get #observer(): WorkerObserver {
    return this.#deps.observer ?? silentObserver
  }

  #state(): WorkerStatus['state'] {
    if (this.#gone.signal.aborted) return 'ended'
    if (this.#leaving.signal.aborted) return 'draining'
    if (!this.#node) return 'starting'
    return performance.now() - this.#heardAtMs > this.#node.leaseMs ? 'lost' : 'working'
  }

  async #live(): Promise<void> {
    const { detect } = this.#deps
    const encoders = await this.#insist('find out what this machine can do', detect)
    if (!encoders) return
    this.#capabilities = capabilitiesOf(encoders)
    const backoff = new Backoff({ firstMs: this.#times.refusedFirstMs, maxMs: this.#times.refusedMaxMs })
    while (!this.#leaving.signal.aborted) {
      const registered = await this.#insist('register', (signal) => this.#register(signal))
      if (!registered) return
      const startedAtMs = performance.now()
      await this.#serve(registered)
      if (performance.now() - startedAtMs > registered.leaseMs) backoff.reset()
      // Two workers with one id would take each other's place for ever, as fast as they can.
      else await sleep(backoff.nextMs(), this.#leaving.signal)
    }
  }

  /** Undefined when the worker is to leave before it works. */
  async #insist<Result>(what: string, attempt: (signal: AbortSignal) => Promise<Result>): Promise<Result | undefined> {
    const { signal } = this.#leaving
    const backoff = new Backoff({ firstMs: this.#times.refusedFirstMs, maxMs: this.#times.refusedMaxMs })
    for (;;) {
      try {
        return await attempt(signal)
      } catch (thrown) {
        if (signal.aborted) return undefined
        const { code, message } = toAppError(thrown)
        this.#deps.log.error({ code, error: message }, `worker cannot ${what}`)
        if (!(await sleep(backoff.nextMs(), signal))) return undefined
      }
    }
  }

  #register(signal: AbortSignal): Promise<Registered> {
    const { id, name, version, liveReserve } = this.#options
    const message = { id, name, version, slots: this.slots.total, liveReserve, capabilities: [...this.#capabilities] }
    return this.#deps.client.register(message, { signal })
  }

  /** Works under one epoch, until the API does not know it any more or the worker has left. */
  async #serve({ epoch, leaseMs, heartbeatMs }: Registered): Promise<void> {
    const { client, log } = this.#deps
    const worker = { nodeId: this.#options.id, epoch }
    this.#node = { ...worker, leaseMs }
    this.#heardAtMs = performance.now()
    log.info({ ...worker, slots: this.slots.total, capabilities: this.#capabilities }, 'worker registered')
    const over = new AbortController()
    const signal = anySignal(this.#gone.signal, over.signal)
    const beats = keepAlive({
      client,
      worker,
      everyMs: heartbeatMs,
      signal,
      log,
      load: () => this.#measure(),
      held: () => this.#running.held,
      onAnswer: (answer) => this.#take(answer),
      onBeat: (isAnswered) => this.#observer.onHeartbeat(isAnswered),
    }).finally(() => over.abort())
    const claims = claimWork({
      client,
      worker,
      slots: this.slots,
      waitMs: this.#times.claimWaitMs,
      log,
      obstacle: () => this.#findObstacle(),
      start: (task) => this.#start(task, worker),
      signal: anySignal(signal, this.#leaving.signal),
    })
    const isForgotten = claims.then(() => {
      if (!this.#leaving.signal.aborted) over.abort()
    })
    await Promise.all([beats, isForgotten, this.#logs.keepSending((lines) => client.sendLogs(worker, lines, { signal }), signal)])
    this.#node = undefined
    if (this.#gone.signal.aborted) return
    log.warn(
      { ...worker, tasks: this.#running.size },
      'API does not know this worker any more; it drops its tasks and registers anew',
    )
    this.#running.stopAll('replaced')
  }

  #start(task: WorkerTask, worker: WorkerRef): void {
    if (this.#leaving.signal.aborted) this.#tooLate.push(task)
    else this.#running.start(task, worker)
  }

  #take({ state, stop, isKnown }: HeartbeatReply): void {
    if (!isKnown) return
    this.#heardAtMs = performance.now()
    this.#nodeState = state
    this.#running.stop(stop, 'told')
  }

  /** A disk that fills up while tasks run costs the newest of them, not all. */
  async #measure(): Promise<NodeLoad> {
    const load = (this.#lastLoad = await this.#load.measure())
    if (load.freeDiskBytes < this.#options.minFreeBytes / 2) {
      const message = `the disk of "${this.#parts.scratch.path}" has ${load.freeDiskBytes} bytes free; the task that began last was ended`
      this.#running.giveUpNewest(new AppError('DISK_FULL', message))
    }
    return load
  }

  async #findObstacle(): Promise<string | undefined> {
    const spaceError = await this.#parts.scratch.checkSpace().then(
      () => undefined,
      (error: unknown) => toAppError(error).message,
    )
    const restSeconds = Math.ceil(this.#coolDown.leftMs / 1000)
    if (this.#nodeState === 'draining') this.#obstacle = 'the API drains this node'
    else if (spaceError !== undefined) this.#obstacle = spaceError
    else if (restSeconds > 0) this.#obstacle = `tasks failed here; it rests for ${restSeconds} s`
    else this.#obstacle = undefined
    return this.#obstacle
  }

  async #leave(): Promise<void> {
    const { client, log } = this.#deps
    await Promise.race([this.#running.whenEnded(), fired(this.#hurry.signal)])
    const { held } = this.#running
    if (held.length > 0) log.warn({ tasks: held.length }, 'worker stops and gives tasks back')
    this.#running.stopAll('leaving')
    await this.#running.whenEnded()
    if (this.#node) await this.#sayFarewell(client, this.#node, held)
    this.#gone.abort()
    await this.#life
    await this.#parts.proxy[Symbol.asyncDispose]()
    await this.#parts.scratch[Symbol.asyncDispose]()
    log.info({}, 'worker ended')
  }

  async #sayFarewell(client: WorkerClient, worker: WorkerRef, held: readonly LeaseRef[]): Promise<void> {
    const signal = AbortSignal.timeout(this.#times.farewellMs)
    const leases = [...held, ...this.#tooLate].map(({ taskId, fence }) => ({ taskId, fence }))
    try {
      await this.#logs.flush((lines) => client.sendLogs(worker, lines, { signal }))
      await client.release(worker, leases, { signal })
    } catch (error) {
      this.#deps.log.warn({ error: String(error) }, 'worker left without a word; its tasks go to others when its lease is over')
    }
  }
}

async function fired(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
