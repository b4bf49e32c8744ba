/**
 * Where the pictures are cut into chunks that workers encode on their own.
 *
 *   timeline  |gop|gop|gop|gop|gop|gop|gop|
 *   chunks    |     0     |   1   |   2   |      whole GOPs, of even length
 *   encoded            pre[   1   ]post          rolls are encoded and thrown away
 */
import type { FrameRange, Rate, Rational } from '#codec/transcoding.ts'
import { framesPerSecond } from './frame-rate.ts'

/** Context that an encoder gets on each side of a chunk, so that it decides as it would in one pass. */
const rollSeconds = 4
/** Encoders look ahead by frames, not by seconds: x264 by 60 at most. */
const fewestRollFrames = 60
/** Of an encoder; see `videoEncoderSchema`. */
const mostGopFrames = 1000

export type ChunkLayout = {
  readonly chunks: readonly FrameRange[]
  readonly preRollFrames: number
  readonly postRollFrames: number
}

/** Frames from one keyframe to the next: 60 for two seconds of 30000/1001. */
export function gopFramesOf(frameRate: Rational, gopSeconds: number): number {
  return Math.min(mostGopFrames, Math.max(1, Math.round(gopSeconds * framesPerSecond(frameRate))))
}

/**
 * Chunks of whole GOPs near `chunkSeconds`, of about the same length, without a short one at the end; one chunk when `chunkSeconds` is 0 or the timeline is
 * shorter. With more than `maxChunks` they get longer.
 */
export function layoutChunks(request: {
  readonly frameCount: number
  readonly frameRate: Rational
  readonly gopFrames: number
  readonly chunkSeconds: number
  readonly mode: Rate['mode']
  readonly maxChunks: number
}): ChunkLayout {
  const { frameCount, frameRate, gopFrames, chunkSeconds, maxChunks } = request
  const gopCount = Math.ceil(frameCount / gopFrames)
  const gopsPerChunk = Math.max(1, Math.round((chunkSeconds * framesPerSecond(frameRate)) / gopFrames))
  const wanted = chunkSeconds === 0 ? 1 : Math.round(gopCount / gopsPerChunk)
  const chunkCount = Math.max(1, Math.min(wanted, maxChunks))
  const boundary = (index: number): number =>
    index === chunkCount ? frameCount : Math.floor((index * gopCount) / chunkCount) * gopFrames
  const chunks = Array.from({ length: chunkCount }, (_, index) => ({
    startFrame: boundary(index),
    endFrame: boundary(index + 1),
  }))
  return { chunks, ...(chunkCount === 1 ? noRolls : rollsOf(request)) }
}

const noRolls = { preRollFrames: 0, postRollFrames: 0 }

/**
 * The pre-roll is of whole GOPs, so that keyframes fall where they do in one pass. Behind the chunk only what looks ahead needs frames: with a ceiling
 * (`capped`) chunks are never those of one pass, and the state of the buffer comes from before.
 */
function rollsOf({
  frameRate,
  gopFrames,
  mode,
}: {
  readonly frameRate: Rational
  readonly gopFrames: number
  readonly mode: Rate['mode']
}): Pick<ChunkLayout, 'preRollFrames' | 'postRollFrames'> {
  const least = Math.max(fewestRollFrames, Math.ceil(rollSeconds * framesPerSecond(frameRate)))
  switch (mode) {
    case 'crf':
      return { preRollFrames: wholeGops(least, gopFrames), postRollFrames: least }
    case 'capped':
      return { preRollFrames: wholeGops(least, gopFrames), postRollFrames: 0 }
    case 'average':
      return noRolls
    default:
      return mode satisfies never
  }
}

function wholeGops(frames: number, gopFrames: number): number {
  return Math.ceil(frames / gopFrames) * gopFrames
}
