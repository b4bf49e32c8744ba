/** Which part of a source a job takes: of the pictures in whole frames, of sound alone in milliseconds. */
import type { Rational, SourceAudio, SourceVideo, Timeline } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { JobInput } from '../scenario.ts'
import { framesPerSecond } from './frame-rate.ts'

type Clip = JobInput['clip']

/**
 * The output timeline. A clip begins at the source's frame nearest to the time asked for, so that each output frame is one of the source's. Throws
 * `REQUEST_INVALID` for a clip that lies behind the end, or is empty.
 */
export function pictureTimeline(video: SourceVideo, frameRate: Rational, clip: Clip): Timeline {
  // Frames of a source without a steady rate lie on no grid; that of the output serves.
  const grid = video.isVariableRate ? frameRate : video.frameRate
  const available = Math.max(1, Math.round(convertFrames(video.frameCount, video.frameRate, grid)))
  const seconds = available / framesPerSecond(grid)
  const first = clip ? frameAt(clip.fromSeconds, grid) : 0
  const end = clip?.toSeconds === undefined ? available : Math.min(available, frameAt(clip.toSeconds, grid))
  if (end <= first) throw emptyClip(clip, seconds)
  return {
    startMs: video.startMs + (first * 1000) / framesPerSecond(grid),
    frameRate,
    frameCount: Math.ceil(convertFrames(end - first, grid, frameRate) - 1e-6),
  }
}

/** A job without pictures lasts as long as its longest sound. Throws as above. */
export function soundSpan(audio: readonly SourceAudio[], clip: Clip): { readonly startMs: number; readonly durationMs: number } {
  const beginMs = Math.min(...audio.map(({ startMs }) => startMs))
  const endMs = Math.max(...audio.map(({ startMs, durationMs }) => startMs + durationMs))
  const startMs = beginMs + (clip?.fromSeconds ?? 0) * 1000
  const stopMs = clip?.toSeconds === undefined ? endMs : Math.min(endMs, beginMs + clip.toSeconds * 1000)
  if (stopMs <= startMs) throw emptyClip(clip, (endMs - beginMs) / 1000)
  return { startMs, durationMs: stopMs - startMs }
}

export function durationMsOf({ frameRate, frameCount }: Timeline): number {
  return (frameCount * frameRate.den * 1000) / frameRate.num
}

function frameAt(seconds: number, rate: Rational): number {
  return Math.round(seconds * framesPerSecond(rate))
}

/** Exact where both rates are the same. */
function convertFrames(frames: number, from: Rational, to: Rational): number {
  return (frames * (to.num * from.den)) / (to.den * from.num)
}

function emptyClip(clip: Clip, seconds: number): AppError {
  const from = clip?.fromSeconds ?? 0
  const asked = clip?.toSeconds === undefined ? `from ${from} s` : `from ${from} s to ${clip.toSeconds} s`
  return new AppError(
    'REQUEST_INVALID',
    `clip ${asked} holds nothing: the source has ${seconds.toFixed(3)} s; choose a part of that`,
  )
}
