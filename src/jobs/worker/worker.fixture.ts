/** A worker for tests: the real thing with short times, and a process that only copies in place of the codec. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { CodecChild } from '#codec/child.ts'
import { noRolls, type Timeline, type VideoEncoder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import type { TaskSpec } from '../worker-protocol.ts'
import type { RunContext, TaskResult, TaskRunners } from './task-runner.ts'
import { WorkerClient } from './worker-client.ts'
import type { WorkerObserver } from './worker-observer.ts'
import type { WorkerOptions, WorkerTimes } from './worker-options.ts'
import { Worker } from './worker.ts'

export const silentLog = createLog({ level: 'silent', pretty: false })

const entry = new URL('../../../test/support/peers/process/worker-stand-in.ts', import.meta.url)
const timeline: Timeline = { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 100 }
export const videoEncoder: VideoEncoder = {
  codec: 'h264',
  encoder: 'libx264',
  rate: { mode: 'crf', crf: 23 },
  preset: 'veryfast',
  bitDepth: 8,
  gopFrames: 50,
  threads: 1,
  color: { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' },
}

export type Behaviour = 'copy' | 'stall' | 'grow'

/** A chunk to encode from the input `source`; what its process really does is the name of the preset. */
export function chunkSpec(behaviour: Behaviour = 'copy'): TaskSpec {
  return {
    kind: 'video',
    source: 'source',
    timeline,
    range: { startFrame: 0, endFrame: 100 },
    rolls: noRolls,
    picture: { deinterlace: false, rotationDegrees: 0, width: 320, height: 180 },
    video: { ...videoEncoder, preset: behaviour },
  }
}

/** Ids of the processes that were started, in order. */
export type StandIn = { readonly pids: number[]; readonly runners: TaskRunners }

export function standIn(): StandIn {
  const pids: number[] = []
  const none = (): Promise<never> => Promise.reject(new AppError('UNSUPPORTED', 'the stand-in does only chunks'))
  return {
    pids,
    runners: {
      video: (spec, context) => copyChunk(spec, { context, pids }),
      probe: none,
      audio: none,
      pictures: none,
      package: none,
      live: none,
    },
  }
}

async function copyChunk(
  { source, video: { preset } }: Extract<TaskSpec, { kind: 'video' }>,
  { context, pids }: { context: RunContext; pids: number[] },
): Promise<TaskResult> {
  const path = join(context.directory, 'chunk.mp4')
  await using child = new CodecChild({
    entry,
    log: context.log,
    onEvent: (value) => {
      if (typeof value === 'object' && value !== null && 'frames' in value) {
        context.onProgress({ frames: Number(value.frames), totalFrames: 100, speed: 2 })
      }
    },
  })
  if (child.pid !== undefined) {
    pids.push(child.pid)
    context.onProcess(child.pid)
  }
  const params = { url: context.urlOf(source), path, frames: 100 }
  await child.request(preset, params, { timeoutMs: 60_000, signal: context.signal })
  const facts = { frameCount: 100, keyframeCount: 2, sizeBytes: 1, sha256: 'frames', peakSecondBytes: 1 }
  return { output: { kind: 'video', facts }, files: [{ name: 'chunk.mp4', path, contentType: 'video/mp4' }] }
}

export type TestWorker = AsyncDisposable & {
  readonly worker: Worker
  readonly pids: readonly number[]
  readonly scratchDirectory: string
}

export type TestWorkerOptions = Partial<Omit<WorkerOptions, 'times'>> & {
  readonly urls: readonly string[]
  readonly times?: Partial<WorkerTimes>
  readonly runners?: TaskRunners
  readonly observer?: WorkerObserver
}

export async function startWorker({ urls, runners, observer, times, ...options }: TestWorkerOptions): Promise<TestWorker> {
  const directory = await temporaryDirectory()
  const doing = standIn()
  const worker = await Worker.start(
    {
      id: 'worker-1',
      name: 'Worker 1',
      version: '0',
      slots: Math.max(2, availableParallelism()),
      liveReserve: 0,
      scratchDirectory: directory.path,
      minFreeBytes: 0,
      limits: { niceness: 0, maxMemoryBytes: 4 * 2 ** 30 },
      drainMs: 0,
      ...options,
      times: { claimWaitMs: 200, refusedFirstMs: 50, coolDownFirstMs: 50, coolDownMaxMs: 100, farewellMs: 1000, ...times },
    },
    {
      client: new WorkerClient({ urls, log: silentLog, retryMaxMs: 200 }),
      runners: runners ?? doing.runners,
      detect: async () => ({ encoders: ['libx264', 'aac'], filters: [] }),
      log: silentLog,
      ...(observer && { observer }),
    },
  )
  return {
    worker,
    pids: doing.pids,
    scratchDirectory: directory.path,
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
}
