import type { Frame } from 'node-av/lib'
import type { FrameRange, Timeline } from '#codec/transcoding.ts'

/** Halves go up even when the division lost a bit on the way: every machine must choose the same picture. */
const tolerance = 1e-4

/** Number of the frame, on the timeline, at which a picture of the source begins to be shown; may lie outside the clip. */
export function slotOf(seconds: number, { startMs, frameRate }: Pick<Timeline, 'startMs' | 'frameRate'>): number {
  return Math.floor(((seconds - startMs / 1000) * frameRate.num) / frameRate.den + 0.5 + tolerance)
}

/** When a frame of the timeline is shown, on the source's clock. */
export function timeMsOf(frame: number, { startMs, frameRate }: Pick<Timeline, 'startMs' | 'frameRate'>): number {
  return startMs + (frame * 1000 * frameRate.den) / frameRate.num
}

export interface FrameSource {
  /** Pictures in the order in which they are shown; each valid until the next call. */
  next(): Promise<Frame | undefined>
  /** Seconds of one tick of their times. */
  readonly tickSeconds: number
}

/** A picture and the frames of the timeline that it fills, `endFrame` not included. */
export type PlacedFrame = FrameRange & { readonly frame: Frame }

/**
 * Puts pictures on an even timeline: frame n is the last picture that begins at n or before. It depends on times alone, so it is the same wherever reading
 * began. The first picture also fills what is before it, the last what is behind it. The frame that is handed out is valid until the next step.
 */
export async function* placeFrames(source: FrameSource, timeline: Timeline, range: FrameRange): AsyncGenerator<PlacedFrame> {
  let held: Frame | undefined
  let nextFrame = range.startFrame
  try {
    while (nextFrame < range.endFrame) {
      const picture = await source.next()
      const slot = picture ? slotOf(secondsOf(picture, source.tickSeconds), timeline) : Infinity
      if (held && slot > nextFrame) {
        const endFrame = Math.min(slot, range.endFrame)
        yield { frame: held, startFrame: nextFrame, endFrame }
        nextFrame = endFrame
      }
      if (!picture) return
      held?.free()
      held = picture.clone() ?? undefined
    }
  } finally {
    held?.free()
  }
}

function secondsOf(frame: Frame, tickSeconds: number): number {
  return Number(frame.pts) * tickSeconds
}
