import { Type } from 'typebox'
import { jobParamsSchema, type AttemptView, type JobView, type PlanView, type TaskView } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatBytes, formatDuration, formatTime } from './format.ts'
import { JobClient } from './job-client.ts'
import { describeJobProgress, jobStateCell, percentText, sourceText, speedText, taskName, taskStateCell } from './job-columns.ts'
import { formatPairs, formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const jobsShow = defineCommand({
  name: 'jobs show',
  summary: 'Show one job: progress, plan, tasks, result',
  arguments: jobParamsSchema,
  options: Type.Object({
    ...apiOptions,
    tasks: Type.Boolean({ default: false, description: 'Show every task, not only those that run or failed' }),
    attempts: Type.Boolean({ default: false, description: 'Show every try of a task that has ended' }),
  }),
  async run({ arguments: { id }, options, terminal, environment }) {
    const client = new JobClient(openClient(options, environment))
    const job = await client.getJob(id)
    const attempts = options.attempts ? await client.listAttempts(id) : undefined
    if (options.json) return terminal.write(`${JSON.stringify(attempts ? { ...job, attempts } : job, null, 2)}\n`)
    const sections = [
      factsOf(job, client.addressOf(job), terminal),
      ...(job.plan ? [renditionTable(job.plan)] : []),
      ...taskTable(options.tasks ? job.tasks : job.tasks.filter(isWorthALook), terminal),
      ...(attempts ? attemptTable(attempts) : []),
      ...(job.result ? [trackTable(job.result)] : []),
    ]
    terminal.write(sections.join('\n'))
  },
})

function factsOf(job: JobView, address: string | undefined, terminal: Terminal): string {
  const { plan, result } = job
  return formatPairs([
    ['id', terminal.color('bold', job.id)],
    ['label', job.label],
    ['state', jobStateCell(job, terminal) + (job.generation > 1 ? ` (generation ${job.generation})` : '')],
    ['error', job.error && terminal.color('red', `${job.error.code}: ${job.error.message}`)],
    ['progress', describeJobProgress(job)],
    ['source', sourceText(job.input)],
    ['', plan && sourceFacts(plan)],
    ['scenario', job.scenario],
    ['queue', `${job.queue}, priority ${job.priority}, tenant ${job.tenant}`],
    ['submitted', formatTime(job.createdAt)],
    ['started', job.startedAt && formatTime(job.startedAt)],
    ['finished', job.finishedAt && `${formatTime(job.finishedAt)}${tookText(job)}`],
    ['deadline', job.deadlineAt && formatTime(job.deadlineAt)],
    ['one piece', plan?.singlePiece],
    ['result', address],
    ['objects', result?.prefix],
    ['VMAF', result?.vmaf?.toFixed(1)],
  ])
}

function tookText({ startedAt, finishedAt }: JobView): string {
  if (startedAt === undefined || finishedAt === undefined) return ''
  return `, took ${formatDuration(Date.parse(finishedAt) - Date.parse(startedAt))}`
}

/** `mov,mp4, 1:30 min, h264 1920×1080, 29.97 fps, aac 2 ch`. */
function sourceFacts({ probe }: PlanView): string {
  const { video, audio } = probe
  const parts = [
    probe.format,
    formatDuration(probe.durationMs),
    ...(video ? [`${video.codec} ${video.width}×${video.height}`, rateText(video.frameRate)] : []),
    ...audio.map(({ codec, channels }) => `${codec} ${channels} ch`),
  ]
  return parts.join(', ')
}

function rateText({ num, den }: { num: number; den: number }): string {
  return `${Number((num / den).toFixed(2))} fps`
}

const renditionColumns = [
  { title: 'RENDITION' },
  { title: 'SIZE' },
  { title: 'ENCODER' },
  { title: 'RATE' },
  { title: 'CHUNKS', align: 'right' },
] as const

function renditionTable({ renditions, audio }: PlanView): string {
  const pictures = renditions.map(({ name, picture, timeline, video, chunkCount }) => [
    name,
    `${picture.width}×${picture.height}, ${rateText(timeline.frameRate)}`,
    `${video.encoder} ${video.preset}${video.bitDepth === 10 ? ', 10 bit' : ''}${video.hdr ? `, ${video.hdr.kind}` : ''}`,
    qualityText(video.rate),
    String(chunkCount),
  ])
  const sounds = audio.map(({ name, audio: { codec, bitsPerSecond, channels } }) => [
    name,
    `${channels} ch`,
    codec,
    `${Math.round(bitsPerSecond / 1000)} kbit/s`,
    '1',
  ])
  return formatTable(renditionColumns, [...pictures, ...sounds])
}

function qualityText(rate: PlanView['renditions'][number]['video']['rate']): string {
  if (rate.mode === 'crf') return `crf ${rate.crf}`
  const limit = `${Math.round(rate.maxBitsPerSecond / 1000)} kbit/s`
  return rate.mode === 'capped' ? `crf ${rate.crf}, at most ${limit}` : `${Math.round(rate.bitsPerSecond / 1000)} kbit/s`
}

function isWorthALook({ state }: TaskView): boolean {
  return state === 'leased' || state === 'failed'
}

const taskColumns = [
  { title: 'TASK' },
  { title: 'STATE' },
  { title: 'DONE', align: 'right' },
  { title: 'SPEED', align: 'right' },
  { title: 'TRY', align: 'right' },
  { title: 'NODE' },
  { title: '' },
] as const

function taskTable(tasks: readonly TaskView[], terminal: Terminal): string[] {
  if (tasks.length === 0) return []
  const rows = tasks.map((task) => [
    taskName(task),
    taskStateCell(task, terminal),
    task.totalFrames > 0 ? percentText(task.frames / task.totalFrames) : '',
    task.state === 'leased' && task.speed > 0 ? speedText(task.speed) : '',
    String(task.attempt),
    task.nodeId ?? '',
    task.error ? `${task.error.code}: ${task.error.message}` : '',
  ])
  return [formatTable(taskColumns, rows)]
}

const attemptColumns = [
  { title: 'ENDED' },
  { title: 'TASK' },
  { title: 'OUTCOME' },
  { title: 'TOOK', align: 'right' },
  { title: 'NODE' },
  { title: '' },
] as const

function attemptTable(attempts: readonly AttemptView[]): string[] {
  if (attempts.length === 0) return []
  const rows = attempts.map((attempt) => [
    formatTime(attempt.endedAt),
    taskName(attempt),
    attempt.outcome,
    formatDuration(Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt)),
    attempt.nodeId,
    attempt.error ? `${attempt.error.code}: ${attempt.error.message}` : '',
  ])
  return [formatTable(attemptColumns, rows)]
}

const trackColumns = [
  { title: 'TRACK' },
  { title: 'CODECS' },
  { title: 'SIZE' },
  { title: 'AVERAGE', align: 'right' },
  { title: 'PEAK', align: 'right' },
  { title: 'STORED', align: 'right' },
] as const

function trackTable({ tracks }: NonNullable<JobView['result']>): string {
  const rows = tracks.map((track) => [
    track.name,
    track.codecs,
    track.width === undefined || track.height === undefined ? '' : `${track.width}×${track.height}`,
    `${Math.round(track.averageBitsPerSecond / 1000)} kbit/s`,
    `${Math.round(track.peakBitsPerSecond / 1000)} kbit/s`,
    formatBytes(track.sizeBytes),
  ])
  return formatTable(trackColumns, rows)
}
