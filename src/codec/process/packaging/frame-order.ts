/** A frame in the order of decoding; `pts` counts frames. */
export type OrderedFrame = { readonly pts: number; readonly isKeyframe: boolean }

/**
 * Follows the frames of a track from chunk to chunk: groups of pictures have the ordered length, begin with a keyframe that is
 * shown first, and each of their frames comes once. Says what is wrong instead of throwing.
 */
export class FrameOrder {
  readonly #gopFrames: number
  /** Frames so far, also of the chunks before. */
  #frames = 0
  #chunkEnd = 0
  #gopStart = 0
  readonly #shown = new Set<number>()

  /** `startFrame`: where the first chunk begins that is followed. */
  constructor(gopFrames: number, startFrame = 0) {
    this.#gopFrames = gopFrames
    this.#frames = startFrame
  }

  /** A chunk of so many frames begins. */
  begin(frameCount = 0): string | undefined {
    if (this.#frames % this.#gopFrames !== 0) return `it begins with frame ${this.#frames}, which is inside a group of pictures`
    this.#chunkEnd = this.#frames + frameCount
    return undefined
  }

  take({ pts, isKeyframe }: OrderedFrame): string | undefined {
    const frame = this.#frames
    if (frame >= this.#chunkEnd) return `it has more frames than ordered, which are ${this.#chunkEnd} with all before it`
    if (frame % this.#gopFrames === 0) {
      if (!isKeyframe || pts !== frame) return `frame ${frame} should be a keyframe shown at its own time; it is shown at ${pts}`
      this.#gopStart = frame
      this.#shown.clear()
    }
    const gopEnd = Math.min(this.#gopStart + this.#gopFrames, this.#chunkEnd)
    if (pts < this.#gopStart || pts >= gopEnd)
      return `a frame is shown at ${pts}, outside its group ${this.#gopStart} to ${gopEnd}`
    if (this.#shown.has(pts)) return `two frames are shown at ${pts}`
    this.#shown.add(pts)
    this.#frames += 1
    return undefined
  }

  /** The chunk has no more frames. */
  end(): string | undefined {
    if (this.#frames === this.#chunkEnd) return undefined
    return `it ends with ${this.#frames} frames with all before it; ordered were ${this.#chunkEnd}`
  }
}
