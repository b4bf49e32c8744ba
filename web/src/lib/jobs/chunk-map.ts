import type { TaskView } from './job-api.ts'
import { taskText } from './job-texts.ts'

export type ChunkCell = {
  readonly task: TaskView
  readonly label: string
  /** How much of it is done, from 0 to 1. */
  readonly share: number
  /** How wide it is beside the others of its row. */
  readonly weight: number
}
export type ChunkRow = {
  readonly name: string
  readonly cells: readonly ChunkCell[]
  readonly done: number
  /** Over all cells by their weights, from 0 to 1. */
  readonly share: number
}

const steps: readonly TaskView['kind'][] = ['probe', 'audio', 'pictures', 'package', 'live']

/** The tasks of a job as rows that fill up: one for each rendition in the order of the plan, and one for everything else. */
export function chunkRows(tasks: readonly TaskView[]): ChunkRow[] {
  const videos = tasks.filter(({ kind }) => kind === 'video')
  const renditions = [...new Set(videos.map(({ rendition }) => rendition))]
  const others = steps.flatMap((kind) => tasks.filter((task) => task.kind === kind))
  return [
    ...renditions.map((rendition) =>
      rowOf(
        rendition,
        videos.filter((task) => task.rendition === rendition).toSorted((a, b) => a.chunk - b.chunk),
      ),
    ),
    ...(others.length > 0 ? [rowOf('Steps', others)] : []),
  ]
}

function rowOf(name: string, tasks: readonly TaskView[]): ChunkRow {
  const cells = tasks.map((task) => ({ task, label: labelOf(task), share: shareOf(task), weight: weightOf(task) }))
  const weight = cells.reduce((sum, cell) => sum + cell.weight, 0)
  return {
    name,
    cells,
    done: tasks.filter(({ state }) => state === 'done').length,
    share: cells.reduce((sum, cell) => sum + cell.share * cell.weight, 0) / Math.max(1, weight),
  }
}

/** Pieces of picture are as wide as they are long; steps are alike. */
function weightOf({ kind, totalFrames }: TaskView): number {
  return kind === 'video' ? Math.max(1, totalFrames) : 1
}

function shareOf({ state, frames, totalFrames }: TaskView): number {
  if (state === 'done') return 1
  return totalFrames > 0 ? Math.min(1, frames / totalFrames) : 0
}

const stateTexts: Record<TaskView['state'], string> = {
  blocked: 'waits for others',
  ready: 'waits for a worker',
  leased: 'is being worked on',
  done: 'is done',
  failed: 'failed',
  canceled: 'was canceled',
}

/** `720p, chunk 3 is being worked on: 40 %, encoder-2, try 2`. */
function labelOf(task: TaskView): string {
  const details = [
    task.state === 'leased' && task.totalFrames > 0 ? `${Math.floor(shareOf(task) * 100)} %` : '',
    task.nodeId !== undefined && task.state !== 'blocked' && task.state !== 'ready' ? task.nodeId : '',
    task.attempt + task.lostCount > 1 ? `try ${task.attempt + task.lostCount}` : '',
    task.error?.message ?? '',
  ].filter((part) => part !== '')
  return `${taskText(task)} ${stateTexts[task.state]}${details.length > 0 ? `: ${details.join(', ')}` : ''}`
}
