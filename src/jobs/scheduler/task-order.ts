/** From a job's plan and what its tasks left to the order of one task. Pure: whoever asks again gets the same. */
import { AppError } from '#lib/errors.ts'
import { taskKey, type ClaimedTask } from '../job-store.ts'
import type { TaskId, TaskRow } from '../model.ts'
import type { JobPlan, PlannedAudio, PlannedRendition } from '../plan/plan.ts'
import type { JobInput } from '../scenario.ts'
import { parseOutput, type StoredFile } from './stored-values.ts'
import type { TaskSpec } from '../worker-protocol.ts'

/** A file that a task reads, under the name that its order uses. */
export type OrderInput =
  /** What the job is made from. */
  | { readonly from: 'source'; readonly name: string }
  | { readonly from: 'object'; readonly name: string; readonly key: string }
  /** What another task of the job left. */
  | { readonly from: 'task'; readonly name: string; readonly taskId: TaskId; readonly file: StoredFile }

export type TaskOrder = { readonly spec: TaskSpec; readonly inputs: readonly OrderInput[] }

/** What tasks that are done left. */
export type TaskOutputs = readonly Pick<TaskRow, 'id' | 'kind' | 'rendition' | 'chunk' | 'output'>[]

type OrderRequest = {
  readonly task: Pick<ClaimedTask, 'id' | 'kind' | 'rendition' | 'chunk'>
  readonly input: JobInput
  /** Only for tasks that come after the probe. */
  readonly plan: () => JobPlan
  /** Only for `package`. */
  readonly outputs: TaskOutputs
}

const source = { from: 'source', name: 'source' } as const
const watermarkName = 'watermark'

/** The order of any task but `live`, which needs no plan. Throws `INTERNAL` for a task that is not in the plan. */
export function orderOf(request: OrderRequest): TaskOrder {
  const { task } = request
  switch (task.kind) {
    case 'probe':
      return { spec: { kind: 'probe', source: source.name }, inputs: [source] }
    case 'video':
      return videoOrder(request)
    case 'audio':
      return audioOrder(request)
    case 'pictures':
      return picturesOrder(request)
    case 'package':
      return packageOrder(request)
    case 'live':
      throw missing(task)
    default:
      return task.kind satisfies never
  }
}

function videoOrder({ task, input, plan }: OrderRequest): TaskOrder {
  const rendition = renditionOf(plan(), task)
  const range = rendition.chunks[task.chunk]
  if (range === undefined) throw missing(task)
  const { timeline, picture, video, rolls } = rendition
  const isMarked = picture.watermark !== undefined && input.watermark !== undefined
  return {
    spec: {
      kind: 'video',
      source: source.name,
      ...(isMarked ? { watermark: watermarkName } : {}),
      timeline,
      range,
      rolls,
      picture,
      video,
    },
    inputs: [source, ...(isMarked ? watermarkOf(input) : [])],
  }
}

function audioOrder({ task, plan }: OrderRequest): TaskOrder {
  const { startMs, durationMs, audio } = plan()
  const planned = audio.find(({ name }) => name === task.rendition)
  if (planned === undefined) throw missing(task)
  return {
    spec: { kind: 'audio', source: source.name, track: planned.track, startMs, durationMs, audio: planned.audio },
    inputs: [source],
  }
}

/** Of a storyboard: one picture each so often, as many as a page of it holds for short sources. */
const tileSize = { width: 160, columns: 10, rows: 10 } as const
const shortestTileMs = 1000
const longestTileMs = 10_000
/** The first pictures of a film are black more often than not. */
const posterPart = 0.1
const latestPosterMs = 30_000

function picturesOrder({ task, plan }: OrderRequest): TaskOrder {
  const { renditions, durationMs } = plan()
  const [largest] = renditions.toSorted((one, other) => other.picture.height - one.picture.height)
  if (largest === undefined) throw missing(task)
  const everyMs = Math.round(durationMs / (tileSize.columns * tileSize.rows))
  const { watermark: _, ...picture } = largest.picture
  return {
    spec: {
      kind: 'pictures',
      source: source.name,
      timeline: largest.timeline,
      picture,
      posterAtMs: Math.round(Math.min(durationMs * posterPart, latestPosterMs)),
      tiles: { everyMs: Math.min(longestTileMs, Math.max(shortestTileMs, everyMs)), ...tileSize },
    },
    inputs: [source],
  }
}

type PackageSpec = Extract<TaskSpec, { kind: 'package' }>
type PackageInput = PackageSpec['tracks'][number]['inputs'][number]
type FileInput = Extract<OrderInput, { from: 'task' }>

function packageOrder({ task, plan, outputs }: OrderRequest): TaskOrder {
  const job = plan()
  const made = new Map(outputs.map((output) => [taskKey(output), output]))
  const files: FileInput[] = []
  const chunkOf = (key: Pick<TaskRow, 'kind' | 'rendition' | 'chunk'>): PackageInput => {
    const output = made.get(taskKey(key))
    if (output === undefined) throw missing({ ...key, id: task.id })
    const { file, ...facts } = readChunk(output)
    files.push(file)
    return { name: file.name, ...facts }
  }
  const tracks = [
    ...job.renditions.map(({ name, video, chunks }) => ({
      track: { kind: 'video', name, codec: video.codec, gopFrames: video.gopFrames } as const,
      inputs: chunks.map((_, chunk) => chunkOf({ kind: 'video', rendition: name, chunk })),
    })),
    ...job.audio.map((audio) => ({
      track: soundTrack(audio),
      inputs: [chunkOf({ kind: 'audio', rendition: audio.name, chunk: 0 })],
    })),
  ]
  const pictures = outputs.filter(({ kind }) => kind === 'pictures').flatMap(pictureInputs)
  const vmaf = vmafOf(job)
  return {
    spec: {
      kind: 'package',
      format: job.scenario.format,
      timeline: job.renditions[0]?.timeline ?? soundTimeline(job),
      segmentMs: Math.round(job.scenario.segmentSeconds * 1000),
      tracks,
      pictures: pictures.map(({ name }) => name),
      ...(vmaf === undefined ? {} : { vmaf }),
    },
    inputs: [...files, ...pictures, ...(vmaf === undefined ? [] : [source])],
  }
}

/** The file of a chunk or sound, and what its encoder said of it. Sound is not counted in frames. */
function readChunk(made: TaskOutputs[number]): { file: FileInput; sha256: string; frameCount: number } {
  const { output, files } = parseOutput(made)
  const [file] = files
  if (file === undefined || (output.kind !== 'video' && output.kind !== 'audio')) throw missing(made)
  const frameCount = output.kind === 'video' ? output.facts.frameCount : 0
  const name = `${made.id}-${file.name}`
  return { file: { from: 'task', name, taskId: made.id, file }, sha256: output.facts.sha256, frameCount }
}

function soundTrack({ name, audio: { codec }, language, title, isDefault }: PlannedAudio) {
  const words = { ...(language === undefined ? {} : { language }), ...(title === undefined ? {} : { title }) }
  return { kind: 'audio', name, codec, ...words, isDefault } as const
}

/** Not of a marked picture: what is drawn onto it is no fault of the encoder. */
function vmafOf({ scenario, renditions }: JobPlan): PackageSpec['vmaf'] {
  const [first] = renditions
  if (scenario.verifyVmafSeconds === undefined || first === undefined || first.picture.watermark !== undefined) return undefined
  return { source: source.name, seconds: scenario.verifyVmafSeconds, picture: first.picture }
}

/** Published with the rest, under their own names. */
function pictureInputs(made: TaskOutputs[number]): FileInput[] {
  return parseOutput(made).files.map((file) => ({ from: 'task', name: file.name, taskId: made.id, file }))
}

/** Sound alone has no frames: what players are told of it is exact to 40 ms. */
function soundTimeline({ startMs, durationMs }: JobPlan): PackageSpec['timeline'] {
  return { startMs, frameRate: { num: 25, den: 1 }, frameCount: Math.max(1, Math.ceil(durationMs / 40)) }
}

function watermarkOf({ watermark }: JobInput): OrderInput[] {
  return watermark === undefined ? [] : [{ from: 'object', name: watermarkName, key: watermark.object }]
}

function renditionOf({ renditions }: JobPlan, task: OrderRequest['task']): PlannedRendition {
  const found = renditions.find(({ name }) => name === task.rendition)
  if (found === undefined) throw missing(task)
  return found
}

function missing({ id, kind, rendition, chunk }: OrderRequest['task']): AppError {
  const what = `${kind}/${rendition}/${chunk}`
  return new AppError(
    'INTERNAL',
    `task ${id} needs ${what}, which the plan or the outputs of its job do not have; submit the job again`,
  )
}
