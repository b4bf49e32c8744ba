/** Workers in the test's own process, for fleets with many jobs that are all alike: the real worker, which encodes such a job only once. */
import { createHash } from 'node:crypto'
import { copyFile, mkdir } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { CodecProcesses } from '#jobs/worker/codec-processes.ts'
import { codecRunners } from '#jobs/worker/codec-runners.ts'
import { WorkerClient } from '#jobs/worker/worker-client.ts'
import { Worker } from '#jobs/worker/worker.ts'
import type { RunContext, TaskResult, TaskRunner, TaskRunners } from '#jobs/worker/task-runner.ts'
import type { TaskSpec } from '#jobs/worker-protocol.ts'
import type { TaskKind } from '#jobs/model.ts'
import { createLog } from '#lib/log.ts'

const silentLog = createLog({ level: 'silent', pretty: false })

export type QuickWorkerOptions = {
  readonly id: string
  /** Of the nodes of the API. */
  readonly urls: readonly string[]
  readonly slots: number
  readonly runners: TaskRunners
  readonly directory: string
}

/** Begins in the background; ends without waiting for what it does. */
export function startQuickWorker({ id, urls, slots, runners, directory }: QuickWorkerOptions): Promise<Worker> {
  const client = new WorkerClient({ urls, log: silentLog, retryMaxMs: 1000 })
  const options = {
    id,
    name: id,
    version: 'test',
    slots,
    liveReserve: 0,
    scratchDirectory: join(directory, id),
    minFreeBytes: 0,
    limits: { niceness: 0, maxMemoryBytes: totalmem() },
    drainMs: 0,
    times: { refusedFirstMs: 100, refusedMaxMs: 500 },
  }
  const detect = () => Promise.resolve({ encoders: ['aac', 'libx264'], filters: [] })
  return Worker.start(options, { client, runners, detect, log: silentLog })
}

/**
 * Each kind of task is done for real once; the ones after it read their inputs to the end and leave the same files. `directory` keeps those. For jobs with the
 * same source and scenario, with one task of each kind.
 */
export function rememberingRunners(directory: string): TaskRunners {
  const known = new Map<TaskKind, Promise<TaskResult>>()
  const digests = new Map<TaskKind, string>()
  const runners = codecRunners(new CodecProcesses({ log: silentLog }))
  return {
    probe: remembering('probe'),
    video: remembering('video'),
    audio: remembering('audio'),
    pictures: remembering('pictures'),
    package: remembering('package'),
    live: runners.live,
  }

  function remembering<Kind extends TaskKind>(kind: Kind): TaskRunner<Kind> {
    const run: TaskRunner<Kind> = runners[kind]
    return async (spec, context) => {
      const before = known.get(kind)
      if (before !== undefined) {
        const digest = await digestInputs(spec, context)
        if (digest !== (digests.get(kind) ?? digest)) throw new Error(`inputs of this ${kind} are not those of the others`)
        digests.set(kind, digest)
        return await copyResult(await before, context.directory)
      }
      const first = run(spec, context).then((result) => copyResult(result, join(directory, kind)))
      known.set(kind, first)
      // Whoever waits for it fails with it; the next one is the first again.
      first.catch(() => known.delete(kind))
      return await copyResult(await first, context.directory)
    }
  }
}

async function copyResult({ output, files }: TaskResult, directory: string): Promise<TaskResult> {
  await mkdir(directory, { recursive: true })
  const copies = files.map(async (file) => {
    const path = join(directory, `copy-${file.name}`)
    await copyFile(file.path, path)
    return { ...file, path }
  })
  return { output, files: await Promise.all(copies) }
}

/** A digest of all that the task reads. */
async function digestInputs(spec: TaskSpec, { urlOf, signal }: RunContext): Promise<string> {
  const hash = createHash('sha256')
  for (const name of inputsOf(spec)) {
    const response = await fetch(urlOf(name), { signal })
    const bytes = Buffer.from(await response.arrayBuffer())
    if (!response.ok) throw new Error(`input "${name}" cannot be read: ${response.status}`)
    hash.update(bytes)
  }
  return hash.digest('hex')
}

function inputsOf(spec: TaskSpec): readonly string[] {
  if (spec.kind === 'package') return spec.tracks.flatMap(({ inputs }) => inputs.map(({ name }) => name))
  return 'source' in spec ? [spec.source] : []
}
