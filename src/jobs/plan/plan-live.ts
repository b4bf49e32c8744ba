/** What a live job does: one task that takes a stream in and publishes its rendition, until it is told to stop. */
import type { AudioEncoder, LivePicture, Rational, VideoEncoder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { NewTask } from '../job-store.ts'
import type { Scenario } from '../scenario.ts'
import { gopFramesOf } from './chunks.ts'
import { encoderCost, encoderNeed, videoEncoderFor, type FleetWorker } from './encoder-choice.ts'
import { outputFrameRate } from './frame-rate.ts'
import { newTask, soundNeed } from './new-task.ts'
import { outputSize } from './picture-size.ts'

export type LivePlan = {
  readonly picture: LivePicture
  readonly video: VideoEncoder
  readonly audio: AudioEncoder | undefined
  readonly task: NewTask
}

/** What is known of a stream; what is not is taken for 16:9 at the scenario's rate. */
export type LiveSource = { readonly width?: number; readonly height?: number; readonly frameRate?: Rational }

const commonAspect = 16 / 9
const commonRate = 30
const unknownColor = { primaries: 'unknown', transfer: 'unknown', matrix: 'unknown', range: 'unknown' } as const

/** Throws `SCENARIO_INVALID` for a scenario that is not live. */
export function planLive({
  scenario,
  source = {},
  workers = [],
}: {
  readonly scenario: Scenario
  readonly source?: LiveSource
  readonly workers?: readonly FleetWorker[]
}): LivePlan {
  const [rendition] = scenario.renditions
  if (scenario.kind !== 'live' || rendition === undefined) {
    throw new AppError('SCENARIO_INVALID', `scenario "${scenario.name}" is not live; choose one of the kind "live"`)
  }
  const { width = rendition.height * commonAspect, height = rendition.height } = source
  const size = outputSize({ width, height }, rendition)
  const { maxFrameRate } = rendition
  const frameRate = source.frameRate
    ? outputFrameRate({ frameRate: source.frameRate, isVariableRate: false }, maxFrameRate)
    : { num: Math.round(Math.min(commonRate, maxFrameRate ?? commonRate)), den: 1 }
  const gopFrames = gopFramesOf(frameRate, scenario.gopSeconds)
  const video = videoEncoderFor({ rendition, video: { color: unknownColor }, hdr: scenario.hdr, size, gopFrames, workers })
  const sound = scenario.audio ? [soundNeed(scenario.audio)] : []
  const task = newTask('live', {
    rendition: rendition.name,
    needs: [encoderNeed(video.encoder), ...sound],
    cost: encoderCost(video, size),
  })
  // Of a stream nobody knows beforehand whether it is interlaced: its pictures tell.
  const deinterlace = scenario.deinterlace !== 'never'
  const picture = { ...size, deinterlace, ...(maxFrameRate === undefined ? {} : { maxFrameRate }) }
  return { picture, video, audio: scenario.audio, task }
}
