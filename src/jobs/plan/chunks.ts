/**
 * Where the pictures are cut into chunks that workers encode on their own.
 *
 *   timeline  |gop|gop|gop|gop|gop|gop|gop|
 *   chunks    |     0     |   1   |   2   |      whole GOPs, of even length
 *   encoded            pre[   1   ]post          rolls are encoded and thrown away
 */
import type { FrameRange, Rational } from '#codec/transcoding.ts'
import { framesPerSecond } from './frame-rate.ts'

/** Of an encoder; see `videoEncoderSchema`. */
const mostGopFrames = 1000

/** Frames from one keyframe to the next: 60 for two seconds of 30000/1001. */
export function gopFramesOf(frameRate: Rational, gopSeconds: number): number {
  return Math.min(mostGopFrames, Math.max(1, Math.round(gopSeconds * framesPerSecond(frameRate))))
}

/**
 * Chunks of whole GOPs near `chunkSeconds`, of about the same length, without a short one at the end; one chunk when `chunkSeconds` is 0 or the timeline is
 * shorter. With more than `maxChunks` they get longer.
 */
export function layoutChunks({
  frameCount,
  frameRate,
  gopFrames,
  chunkSeconds,
  maxChunks,
}: {
  readonly frameCount: number
  readonly frameRate: Rational
  readonly gopFrames: number
  readonly chunkSeconds: number
  readonly maxChunks: number
}): FrameRange[] {
  const gopCount = Math.ceil(frameCount / gopFrames)
  const gopsPerChunk = Math.max(1, Math.round((chunkSeconds * framesPerSecond(frameRate)) / gopFrames))
  const wanted = chunkSeconds === 0 ? 1 : Math.round(gopCount / gopsPerChunk)
  const chunkCount = Math.max(1, Math.min(wanted, maxChunks))
  const boundary = (index: number): number =>
    index === chunkCount ? frameCount : Math.floor((index * gopCount) / chunkCount) * gopFrames
  return Array.from({ length: chunkCount }, (_, index) => ({
    startFrame: boundary(index),
    endFrame: boundary(index + 1),
  }))
}
