import { hostname } from 'node:os'
import type { Worker } from '#jobs/worker/worker.ts'
import type { WorkerTls } from '#jobs/worker/worker-tls.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { settleStartupMemory } from '#lib/startup-memory.ts'
import { systemTimers } from '#lib/timers.ts'
import type { Tracer } from '#lib/tracing.ts'
import type { Metrics } from '#ops/metrics.ts'
import type { Profiler } from '#ops/profiler.ts'
import type { Settings } from './settings.ts'
import { loadWorkerId } from './worker-id.ts'

/** The worker of a server begins so long after it: a start is to be quick, and finding out what the machine can do takes both cores for a moment. */
const delayBesideServerMs = 2000

type Deps = {
  readonly settings: Settings
  readonly version: string
  /** The API of this process; undefined: it has none. */
  readonly own: { readonly url: string; readonly credential: string } | undefined
  /** Where the worker of a server tells of itself. */
  readonly metrics: Pick<Metrics, 'include'>
  readonly profiler: Profiler
  /** Undefined: nothing is traced. */
  readonly tracer: Tracer | undefined
  readonly log: Logger
}

/** `url` is where a worker that runs by itself tells of itself. */
export type WorkerPart = AsyncDisposable & { readonly url?: string }

/** The worker of this process. Beside a server it is loaded later, and serves the server's own API. */
export async function startWorkerPart(deps: Deps): Promise<WorkerPart> {
  const { settings, own, log } = deps
  const urls = settings.worker.urls.length > 0 ? settings.worker.urls : own && [own.url]
  if (urls === undefined) {
    throw new AppError('CONFIG_INVALID', 'a worker needs the address of an API; set worker.urls (MILLRACE_WORKER_URLS)')
  }
  const credential = settings.worker.credential ?? (settings.worker.urls.length > 0 ? undefined : own?.credential)
  if (!own) return await startAlone(deps, { urls, credential })
  let begun: Promise<AsyncDisposable> | undefined
  const timer = systemTimers.after(delayBesideServerMs, () => {
    begun = startBeside(deps, { urls, credential })
    begun.catch((error: unknown) => log.error({ err: error }, 'the worker did not start; this node does no tasks'))
  })
  return {
    async [Symbol.asyncDispose]() {
      timer[Symbol.dispose]()
      const worker = await begun?.catch(() => undefined)
      await worker?.[Symbol.asyncDispose]()
    },
  }
}

/** It tells its metrics on the page of the server. What loading it left behind is given back, as after the start of the server. */
async function startBeside(deps: Deps, access: Access): Promise<AsyncDisposable> {
  const { metrics, running } = await startWorker(deps, access)
  running.use(deps.metrics.include(metrics))
  settleStartupMemory()
  return running
}

type Access = { readonly urls: readonly string[]; readonly credential: string | undefined }

async function startAlone(deps: Deps, access: Access): Promise<WorkerPart> {
  const { worker: settings } = deps.settings
  const { worker, metrics, running } = await startWorker(deps, access)
  const { WorkerServer } = await import('#jobs/worker/worker-server.ts')
  const { answerProfile } = await import('#ops/profile-listener.ts')
  try {
    const status = (): Worker['status'] => worker.status
    const server = await WorkerServer.start({
      host: settings.metricsHost,
      port: settings.metricsPort,
      metrics,
      status,
      answerProfile: (request, response) => answerProfile(deps.profiler, request, response),
      log: deps.log,
    })
    const { host, port } = server.address
    return {
      url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
      async [Symbol.asyncDispose]() {
        await running[Symbol.asyncDispose]()
        await server[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await running[Symbol.asyncDispose]()
    throw error
  }
}

async function startWorker(
  { settings: { server, worker: settings }, version, own, tracer, log }: Deps,
  { urls, credential }: Access,
) {
  const { Worker } = await import('#jobs/worker/worker.ts')
  const { WorkerClient } = await import('#jobs/worker/worker-client.ts')
  const { WorkerMetrics } = await import('#jobs/worker/worker-metrics.ts')
  const { workerOptionsOf } = await import('#jobs/worker/worker-options.ts')
  const { CodecProcesses } = await import('#jobs/worker/codec-processes.ts')
  const { Gpus } = await import('#jobs/worker/gpus.ts')
  const { codecRunners, detectEncoders } = await import('#jobs/worker/codec-runners.ts')
  const running = new AsyncDisposableStack()
  const tls = running.use(await openTls(settings, log))
  const client = new WorkerClient({ urls, credential, tls, log })
  const metrics = new WorkerMetrics()
  const named = { id: await loadWorkerId({ server, worker: settings }), name: hostname(), version }
  const configured = workerOptionsOf(settings, { ...named, dataDirectory: server.dataDirectory })
  // The stop of a server has a limit of its own.
  const drainMs = own ? Math.min(configured.drainMs, server.shutdownSeconds * 500) : configured.drainMs
  const options = { ...configured, drainMs }
  const detect = (signal: AbortSignal) => detectEncoders({ log, signal })
  const runners = codecRunners(running.use(new CodecProcesses({ log })))
  const worker = running.use(await Worker.start(options, { client, runners, detect, observer: metrics, tls, tracer, log }))
  const gpus = running.use(new Gpus({ clock: systemClock }))
  metrics.watch(() => ({
    status: worker.status,
    load: worker.load,
    running: worker.runningKinds,
    apiFailures: client.failureCount,
    gpus: gpus.figures,
  }))
  return { worker, metrics, running }
}

/** What connections over TLS are made with; undefined: nothing of our own. */
async function openTls({ authority, certificate, key }: Settings['worker'], log: Logger): Promise<WorkerTls | undefined> {
  if (authority === undefined && certificate === undefined) return undefined
  const { WorkerTls } = await import('#jobs/worker/worker-tls.ts')
  const files = {
    ...(authority !== undefined && { authorityFile: authority }),
    ...(certificate !== undefined && { certificateFile: certificate }),
    ...(key !== undefined && { keyFile: key }),
  }
  return await WorkerTls.open(files, { timers: systemTimers, log })
}
