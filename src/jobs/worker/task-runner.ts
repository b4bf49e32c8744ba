import { join } from 'node:path'
import type { TranscodeProgress } from '#codec/transcoding.ts'
import type { Logger } from '#lib/log.ts'
import type { TaskKind } from '../model.ts'
import type { TaskOutput, TaskSpec } from '../worker-protocol.ts'
import type { LocalFile } from './upload.ts'

/** What a runner has of the attempt that it works for. */
export type RunContext = {
  readonly jobId: string
  /** Empty; whatever is in it is gone when the attempt is over. */
  readonly directory: string
  /** Address on loopback, or path, of an input. */
  readonly urlOf: (name: string) => string
  /** When it fires, the runner ends its process and rejects. */
  readonly signal: AbortSignal
  /** Frames only grow. */
  readonly onProgress: (progress: TranscodeProgress) => void
  /** Something shows that the attempt is alive, though no frame may be done: it reads. */
  readonly onMoved: () => void
  /** To be called for each process that the runner works with, before it is given work. */
  readonly onProcess: (pid: number) => void
  readonly log: Logger
}

/** What is told of a task that is done, and the files that it leaves. */
export type TaskResult = { readonly output: TaskOutput; readonly files: readonly LocalFile[] }

export type SpecOf<Kind extends TaskKind> = Extract<TaskSpec, { kind: Kind }>

/** Does one kind of task, in a process that does nothing else meanwhile, and is gone when the promise rejects. */
export type TaskRunner<Kind extends TaskKind> = (spec: SpecOf<Kind>, context: RunContext) => Promise<TaskResult>

export type TaskRunners = { readonly [Kind in TaskKind]: TaskRunner<Kind> }

export function runTask(runners: TaskRunners, spec: TaskSpec, context: RunContext): Promise<TaskResult> {
  switch (spec.kind) {
    case 'probe':
      return runners.probe(spec, context)
    case 'video':
      return runners.video(spec, context)
    case 'audio':
      return runners.audio(spec, context)
    case 'pictures':
      return runners.pictures(spec, context)
    case 'package':
      return runners.package(spec, context)
    case 'live':
      return runners.live(spec, context)
    default:
      return spec satisfies never
  }
}

/** A file that a runner made in a directory. */
export function localFile({ name, contentType }: { name: string; contentType: string }, directory: string): LocalFile {
  return { name, path: join(directory, name), contentType }
}

/** To be called before a process is given work. */
export function watchProcess({ pid }: { readonly pid: number | undefined }, { onProcess }: RunContext): void {
  if (pid !== undefined) onProcess(pid)
}
