import type { JobSummary, JobView, NodeView, TaskView } from '#api/job-contract.ts'
import { formatDuration } from './format.ts'
import { progressBar } from './progress-line.ts'
import type { Color, Terminal } from './terminal.ts'

type JobState = JobSummary['state']
type Task = Pick<TaskView, 'kind' | 'rendition' | 'chunk'>

const jobColors: Record<JobState, Color> = {
  queued: 'dim',
  assigned: 'cyan',
  running: 'cyan',
  retrying: 'yellow',
  completed: 'green',
  failed: 'red',
  timed_out: 'red',
  canceled: 'dim',
  rejected: 'red',
}
const taskColors: Record<TaskView['state'], Color> = {
  blocked: 'dim',
  ready: 'dim',
  leased: 'cyan',
  done: 'green',
  failed: 'red',
  canceled: 'dim',
}
const nodeColors: Record<NodeView['state'], Color> = { active: 'green', draining: 'yellow', lost: 'red' }

/** A state as people read it: `timed out`. A job that was told to stop and has not yet is `canceling`. */
export function jobStateText({
  state,
  isOver,
  isCancelRequested,
}: Pick<JobSummary, 'state' | 'isOver' | 'isCancelRequested'>): string {
  return isCancelRequested && !isOver ? 'canceling' : state.replace('_', ' ')
}

export function jobStateCell(job: JobSummary, terminal: Terminal): string {
  return terminal.color(jobColors[job.state], jobStateText(job))
}

export function taskStateCell({ state }: Pick<TaskView, 'state'>, terminal: Terminal): string {
  return terminal.color(taskColors[state], state === 'leased' ? 'running' : state === 'ready' ? 'waiting' : state)
}

export function nodeStateCell({ state }: Pick<NodeView, 'state'>, terminal: Terminal): string {
  return terminal.color(nodeColors[state], state)
}

/** `42 %`: never 100 before it is all. */
export function percentText(progress: number): string {
  return `${Math.floor(progress * 100)} %`
}

/** What is encoded: the last part of a key or address, or the stream. */
export function sourceText({ source }: JobSummary['input']): string {
  if ('object' in source) return source.object.split('/').at(-1) ?? source.object
  if ('url' in source) return decodedName(source.url)
  return 'recording' in source ? source.recording.stream : source.stream
}

/** `720p 3`, `audio-0`, `package`; chunks are counted from 1. */
export function taskName({ kind, rendition, chunk }: Task): string {
  if (kind === 'video') return `${rendition} ${chunk + 1}`
  return kind === 'audio' || kind === 'live' ? rendition || kind : kind
}

export type ChunkCount = { readonly done: number; readonly total: number }

/** Pieces of picture that are encoded, over all renditions. */
export function countChunks(tasks: readonly Pick<TaskView, 'kind' | 'state'>[]): ChunkCount {
  const chunks = tasks.filter(({ kind }) => kind === 'video')
  return { done: chunks.filter(({ state }) => state === 'done').length, total: chunks.length }
}

/** A live job has no end that it comes nearer to. */
function isLive({ input }: Pick<JobSummary, 'input'>): boolean {
  return 'stream' in input.source
}

/** `47 %`; nothing for a live job. */
export function progressCell(job: JobSummary): string {
  return isLive(job) ? '' : percentText(job.progress)
}

/** `[######......] 42 %  1210 of 2880 frames  3.2×  41.0 s left  chunks 12 of 30`; parts that nobody knows yet are left out. */
export function describeJobProgress(job: JobView): string {
  const chunks = countChunks(job.tasks)
  const parts = [
    ...(isLive(job) ? [`${job.frames} frames`] : [`${progressBar(job.progress)} ${percentText(job.progress)}`]),
    ...(job.totalFrames > 0 ? [`${job.frames} of ${job.totalFrames} frames`] : []),
    ...(job.speed > 0 ? [speedText(job.speed)] : []),
    ...(job.secondsLeft === undefined ? [] : [`${formatDuration(job.secondsLeft * 1000)} left`]),
    ...(chunks.total > 0 ? [`chunks ${chunks.done} of ${chunks.total}`] : []),
  ]
  return parts.join('  ')
}

/** `3.2×`: so much faster than it is played. */
export function speedText(speed: number): string {
  return `${speed >= 10 ? speed.toFixed(0) : speed.toFixed(speed >= 0.095 ? 1 : 2)}×`
}

function decodedName(url: string): string {
  const { pathname = '', host = url } = URL.parse(url) ?? {}
  const name = pathname.split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(name) || host
  } catch {
    return name
  }
}
