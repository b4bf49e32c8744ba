import { bitrate, count, duration } from '../format.ts'
import type { AttemptView, JobSummary, JobView, NodeView, PlanView, ScenarioView, TaskView } from './job-api.ts'

export type Mark = {
  readonly text: string
  readonly tone: 'good' | 'bad' | 'warn' | 'busy' | 'quiet'
  readonly shape?: 'ring' | 'square'
}

const jobMarks: Record<JobSummary['state'], Mark> = {
  queued: { text: 'Waiting', tone: 'quiet', shape: 'ring' },
  assigned: { text: 'Starting', tone: 'busy', shape: 'ring' },
  running: { text: 'Running', tone: 'busy' },
  retrying: { text: 'Retrying', tone: 'warn', shape: 'ring' },
  completed: { text: 'Completed', tone: 'good' },
  failed: { text: 'Failed', tone: 'bad' },
  timed_out: { text: 'Timed out', tone: 'bad' },
  canceled: { text: 'Canceled', tone: 'quiet', shape: 'square' },
  rejected: { text: 'Rejected', tone: 'bad', shape: 'square' },
}

/** How the state of a job is shown. */
export function jobMark({ state, isOver, isCancelRequested }: Pick<JobSummary, 'state' | 'isOver' | 'isCancelRequested'>): Mark {
  return isCancelRequested && !isOver ? { text: 'Canceling', tone: 'quiet', shape: 'square' } : jobMarks[state]
}

/** In which colour its progress is drawn; the usual one while it goes on. */
export function progressTone({ state, isOver }: Pick<JobSummary, 'state' | 'isOver'>): 'good' | 'bad' | 'quiet' | undefined {
  if (!isOver) return undefined
  return state === 'completed' ? 'good' : state === 'canceled' ? 'quiet' : 'bad'
}

const nodeMarks: Record<NodeView['state'], Mark> = {
  active: { text: 'Active', tone: 'good' },
  draining: { text: 'Draining', tone: 'warn', shape: 'ring' },
  lost: { text: 'Lost', tone: 'bad' },
}

export function nodeMark({ state }: Pick<NodeView, 'state'>): Mark {
  return nodeMarks[state]
}

/** A live job has no end that it comes nearer to. */
export function isLiveJob({ input }: Pick<JobSummary, 'input'>): boolean {
  return 'stream' in input.source
}

/** What a job is called: its label, or the name of its source. */
export function jobTitle({ label, input }: Pick<JobSummary, 'label' | 'input'>): string {
  return label ?? sourceText(input)
}

/** The last part of a key or address, or the name of a stream. */
export function sourceText({ source }: Pick<JobSummary['input'], 'source'>): string {
  if ('object' in source) return source.object.split('/').at(-1) ?? source.object
  if ('url' in source) return fileName(source.url)
  return 'recording' in source ? source.recording.stream : source.stream
}

function fileName(url: string): string {
  const { pathname = '', host = url } = URL.parse(url) ?? {}
  const name = pathname.split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(name) || host
  } catch {
    return name
  }
}

/** `47 %`: never 100 before it is all. */
export function percent(progress: number): string {
  return `${Math.floor(progress * 100)} %`
}

/** `3.3×`: so much faster than it is played. */
export function speedText(speed: number): string {
  return `${speed.toFixed(speed >= 9.95 ? 0 : speed >= 0.095 ? 1 : 2)}×`
}

/** What a job is doing, in a few words: `3.3× · 95 s left`; empty while nothing is known. */
export function paceText({ speed, secondsLeft, isOver }: Pick<JobView, 'speed' | 'secondsLeft' | 'isOver'>): string {
  if (isOver) return ''
  const parts = [speed > 0 ? speedText(speed) : '', secondsLeft === undefined ? '' : `${duration(secondsLeft * 1000)} left`]
  return parts.filter((part) => part !== '').join(' · ')
}

/** How long it has taken, or takes by now; absent before it began. */
export function tookMs(
  { startedAt, finishedAt }: Pick<JobSummary, 'startedAt' | 'finishedAt'>,
  nowMs: number,
): number | undefined {
  if (startedAt === undefined) return undefined
  return Math.max(0, (finishedAt === undefined ? nowMs : Date.parse(finishedAt)) - Date.parse(startedAt))
}

const kindNames: Record<TaskView['kind'], string> = {
  probe: 'Look at the source',
  video: 'Picture',
  audio: 'Sound',
  pictures: 'Poster and thumbnails',
  package: 'Package and verify',
  live: 'Live',
}

/** `1080p, chunk 3`, `Sound audio-0`, `Package and verify`. */
export function taskText({ kind, rendition, chunk }: Pick<TaskView, 'kind' | 'rendition' | 'chunk'>): string {
  if (kind === 'video') return `${rendition}, chunk ${chunk + 1}`
  return kind === 'audio' && rendition !== '' ? `Sound ${rendition}` : kindNames[kind]
}

const outcomes: Record<AttemptView['outcome'], Mark> = {
  done: { text: 'Done', tone: 'good' },
  transient: { text: 'Failed, tried again', tone: 'warn' },
  terminal: { text: 'Failed', tone: 'bad' },
  lost: { text: 'Worker lost', tone: 'warn' },
  stale: { text: 'Stood still', tone: 'warn' },
  canceled: { text: 'Canceled', tone: 'quiet', shape: 'square' },
  released: { text: 'Given back', tone: 'quiet', shape: 'ring' },
  input: { text: 'Input damaged', tone: 'warn' },
}

export function outcomeMark({ outcome }: Pick<AttemptView, 'outcome'>): Mark {
  return outcomes[outcome]
}

/** `25 fps`, `29.97 fps`. */
export function frameRateText({ num, den }: { readonly num: number; readonly den: number }): string {
  return `${Number((num / den).toFixed(2))} fps`
}

type Rate = ScenarioView['renditions'][number]['rate']

/** `CRF 21`, `CRF 21 up to 4.0 Mbit/s`, `3.0 Mbit/s`. */
export function rateText(rate: Rate): string {
  if (rate.mode === 'crf') return `CRF ${rate.crf}`
  if (rate.mode === 'average') return bitrate(rate.bitsPerSecond / 1000)
  return `CRF ${rate.crf} up to ${bitrate(rate.maxBitsPerSecond / 1000)}`
}

/** `libx264 medium · CRF 21 · 10 bit · HDR10`. */
export function encoderText({ encoder, preset, rate, bitDepth, hdr }: PlanView['renditions'][number]['video']): string {
  return [`${encoder} ${preset}`, rateText(rate), bitDepth === 10 ? '10 bit' : '', hdr?.kind.toUpperCase() ?? '']
    .filter((part) => part !== '')
    .join(' · ')
}

/** `1920×1080 · 25 fps · H264 · AAC 2 ch`: what the probe found. */
export function probeText({ video, audio }: PlanView['probe']): string {
  const sounds = audio.map(({ codec, channels }) => `${codec.toUpperCase()} ${channels} ch`)
  const pictures = video ? [`${video.width}×${video.height}`, frameRateText(video.frameRate), video.codec.toUpperCase()] : []
  return [...pictures, ...sounds].join(' · ')
}

/** `1080p 720p 480p H264`, codecs apart where they differ; `Only sound`. */
export function renditionsText({ renditions }: Pick<ScenarioView, 'renditions'>): string {
  if (renditions.length === 0) return 'Only sound'
  const codecs = [...new Set(renditions.map(({ codec }) => codec))]
  const groups = codecs.map((codec) => {
    const names = renditions.filter((rendition) => rendition.codec === codec).map(({ name }) => name)
    return `${names.join(' ')} ${codec.toUpperCase()}`
  })
  return groups.join(', ')
}

/** `4,500 of 22,500 frames`, `4,500 frames` without an end; empty where none are counted. */
export function framesText({ frames, totalFrames }: Pick<JobSummary, 'frames' | 'totalFrames'>): string {
  if (totalFrames === 0) return frames === 0 ? '' : `${count(frames)} frames`
  return `${count(frames)} of ${count(totalFrames)} frames`
}
