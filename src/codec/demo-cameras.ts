import { anySignal, sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { withoutCredentials, type Logger } from '#lib/log.ts'
import { CodecChild } from './child.ts'
import { parseDemoEvent, type DemoCamera, type PublishParams } from './demo-camera.ts'

/** Four pictures that are different at a glance, two of them with sound. */
export const demoCameras: readonly DemoCamera[] = [
  { name: 'demo/card', picture: 'card', audio: 'aac' },
  { name: 'demo/ocean', picture: 'ocean', audio: 'opus' },
  { name: 'demo/aurora', picture: 'aurora' },
  { name: 'demo/colony', picture: 'colony' },
]

export type DemoCamerasOptions = {
  /** Server to publish to, `rtsp://[user:password@]host:port`; each camera's name is appended. */
  readonly rtspUrl: string
  readonly cameras: readonly DemoCamera[]
  readonly log: Logger
  readonly signal?: AbortSignal
}

/** Demo cameras at work. Disposing ends their process. */
export interface DemoCameras extends AsyncDisposable {
  /** Resolves when every camera has been online once, or the cameras were ended. Never rejects. */
  readonly ready: Promise<void>
}

const startTimeoutMs = 20_000

/**
 * Starts a process that makes moving pictures and publishes them over RTSP/TCP (H.264 640x360, AAC or Opus), again and again while the
 * server is away. The process itself is started again when it fails. Throws `CODEC_FAILED` when it cannot be started the first time.
 */
export async function startDemoCameras({ rtspUrl, cameras, log, signal }: DemoCamerasOptions): Promise<DemoCameras> {
  const stop = new AbortController()
  const stopped = anySignal(stop.signal, signal)
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>()
  stopped.addEventListener('abort', () => becomeReady(), { once: true })
  const waiting = new Set(cameras.map(({ name }) => name))
  const onEvent = (value: unknown) => {
    const event = parseDemoEvent(value)
    const { kind, ...fields } = event
    if (kind === 'offline') return log.warn(fields, 'demo camera is offline')
    log.info(fields, 'demo camera is online')
    waiting.delete(event.camera)
    if (waiting.size === 0) becomeReady()
  }
  const params: PublishParams = { rtspUrl, cameras: [...cameras] }
  const start = () => startChild(params, { log, onEvent, signal: stopped })
  const first = await start()
  const done = keepRunning(first, { start, log, stopped })
  return {
    ready,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await done
    },
  }
}

type ChildDeps = { log: Logger; onEvent: (value: unknown) => void; signal: AbortSignal }

async function startChild(params: PublishParams, { log, onEvent, signal }: ChildDeps): Promise<CodecChild> {
  const child = new CodecChild({ entry: new URL('./process/demo-cameras.ts', import.meta.url), log, onEvent })
  try {
    await child.request('publish', params, { timeoutMs: startTimeoutMs, signal })
    log.info({ cameras: params.cameras.length, url: withoutCredentials(params.rtspUrl), pid: child.pid }, 'demo cameras started')
    return child
  } catch (error) {
    await child[Symbol.asyncDispose]()
    throw error
  }
}

/** Replaces the process each time it fails, until it is to stop. */
async function keepRunning(
  first: CodecChild,
  { start, log, stopped }: { start: () => Promise<CodecChild>; log: Logger; stopped: AbortSignal },
): Promise<void> {
  const backoff = new Backoff({ firstMs: 1000, maxMs: 30_000 })
  let child: CodecChild | undefined = first
  for (;;) {
    if (child) {
      await using running = child
      await Promise.race([running.ended, aborted(stopped)])
      const error = stopped.aborted ? undefined : await running.ended
      if (error) log.error({ error: error.message }, 'demo cameras failed and start again')
    }
    if (!(await sleep(backoff.nextMs(), stopped))) return
    child = await start().catch((error: unknown) => {
      if (!stopped.aborted) log.error({ error: String(error) }, 'demo cameras did not start')
      return undefined
    })
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
