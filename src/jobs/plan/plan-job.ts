/** From what is asked for and what the source has to what is to be done. Pure: the same question has the same answer. */
import { noRolls, type SourceProbe, type SourceVideo } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { taskKey, type NewTask } from '../job-store.ts'
import type { JobId } from '../model.ts'
import type { JobInput, Rendition, Scenario } from '../scenario.ts'
import { planAudio } from './audio-plan.ts'
import { gopFramesOf, layoutChunks } from './chunks.ts'
import { durationMsOf, pictureTimeline, soundSpan } from './clip.ts'
import { encoderCost, encoderNeed, videoEncoderFor, type FleetWorker } from './encoder-choice.ts'
import { outputFrameRate } from './frame-rate.ts'
import { newTask, soundNeed } from './new-task.ts'
import { keptRenditions, outputSize, pictureOf, shownSource } from './picture-size.ts'
import type { JobPlan, PlannedRendition } from './plan.ts'
import { rollsOf } from './rolls.ts'

/** What one transaction inserts at most; chunks get longer beyond. */
const mostVideoTasks = 5000

export type PlanRequest = {
  readonly jobId: JobId
  readonly scenario: Scenario
  readonly input: JobInput
  readonly probe: SourceProbe
  /** Workers that are there now: they decide what encoder `auto` means. */
  readonly workers?: readonly FleetWorker[]
}

/**
 * Plan and tasks of a job whose source has been probed. Throws `UNSUPPORTED` when the source cannot be made into what the scenario asks for, and
 * `REQUEST_INVALID` when clip or crop do not fit the source.
 */
export function planJob(request: PlanRequest): { readonly plan: JobPlan; readonly tasks: readonly NewTask[] } {
  const { scenario } = request
  const plan = scenario.renditions.length === 0 ? planSound(request) : planFilm(request, requirePictures(request))
  const parts = [
    ...plan.renditions.flatMap(videoTasks),
    ...plan.audio.map(({ name, audio }) => newTask('audio', { rendition: name, needs: [soundNeed(audio)] })),
    ...(scenario.pictures && plan.renditions.length > 0 ? [newTask('pictures')] : []),
  ]
  return { plan, tasks: [...parts, newTask('package', { after: parts.map(taskKey) })] }
}

function planSound({ scenario, input, probe }: PlanRequest): JobPlan {
  const audio = planAudio(probe.audio, scenario.audio)
  if (audio.length === 0) {
    const why = scenario.audio ? 'the source has no sound' : 'the scenario has neither renditions nor audio'
    throw new AppError('UNSUPPORTED', `scenario "${scenario.name}" is for sound alone, but ${why}; choose another scenario`)
  }
  return { scenario, probe, ...soundSpan(probe.audio, input.clip), renditions: [], audio, singlePiece: undefined }
}

function planFilm({ scenario, input, probe, workers = [] }: PlanRequest, source: SourceVideo): JobPlan {
  const shown = shownSource(source, input.crop)
  const kept = keptRenditions(scenario.renditions, shown)
  // Tracks are cut alike when they are packaged, so all have the lowest of the rates.
  const timeline = pictureTimeline(source, outputFrameRate(source, lowestLimit(kept)), input.clip)
  const gopFrames = gopFramesOf(timeline.frameRate, scenario.gopSeconds)
  const singlePiece = scenario.chunkSeconds === 0 ? undefined : reasonForOnePiece(kept, probe)
  const renditions = kept.map((rendition): PlannedRendition => {
    const size = outputSize(shown, rendition)
    const isWhole = probe.notSeekable !== undefined || rendition.rate.mode === 'average'
    const video = videoEncoderFor({ rendition, video: source, hdr: scenario.hdr, size, gopFrames, workers })
    const chunks = layoutChunks({
      frameCount: timeline.frameCount,
      frameRate: timeline.frameRate,
      gopFrames,
      chunkSeconds: isWhole ? 0 : scenario.chunkSeconds,
      maxChunks: Math.floor(mostVideoTasks / kept.length),
    })
    return {
      name: rendition.name,
      timeline,
      picture: pictureOf(source, { shown, size, deinterlace: scenario.deinterlace, watermark: input.watermark }),
      video,
      chunks,
      rolls: chunks.length === 1 ? noRolls : rollsOf(video, timeline.frameRate),
    }
  })
  const { startMs } = timeline
  const audio = planAudio(probe.audio, scenario.audio)
  return { scenario, probe, startMs, durationMs: durationMsOf(timeline), renditions, audio, singlePiece }
}

/** One picture beside sound is a cover, not a film. */
function requirePictures({ scenario, probe: { video, audio } }: PlanRequest): SourceVideo {
  const isFilm = video !== undefined && (video.frameCount > 1 || (video.frameCount === 1 && audio.length === 0))
  if (isFilm) return video
  const found = audio.length > 0 ? 'sound but no film' : 'neither film nor sound'
  const advice = audio.length > 0 ? 'choose a scenario for sound, such as "audio-only"' : 'submit another source'
  throw new AppError('UNSUPPORTED', `scenario "${scenario.name}" needs pictures, but the source has ${found}; ${advice}`)
}

function lowestLimit(renditions: readonly Rendition[]): number | undefined {
  const limits = renditions.flatMap(({ maxFrameRate }) => (maxFrameRate === undefined ? [] : [maxFrameRate]))
  return limits.length === 0 ? undefined : Math.min(...limits)
}

function reasonForOnePiece(renditions: readonly Rendition[], { notSeekable }: SourceProbe): string | undefined {
  if (notSeekable !== undefined) return `a worker cannot begin in the middle of this source: ${notSeekable}`
  const names = renditions.filter(({ rate }) => rate.mode === 'average').map(({ name }) => `"${name}"`)
  if (names.length === 0) return undefined
  return `${names.join(', ')}: an average rate is kept over the whole film, and two tasks cannot share one rate control`
}

function videoTasks({ name, video, picture, chunks }: PlannedRendition): NewTask[] {
  const needs = [encoderNeed(video.encoder)]
  const cost = encoderCost(video, picture)
  return chunks.map(({ startFrame, endFrame }, chunk) =>
    newTask('video', { rendition: name, chunk, needs, cost, totalFrames: endFrame - startFrame }),
  )
}
