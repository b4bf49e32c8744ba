import type { ChunkFacts, VideoOrder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { ChunkEnd, ChunkPacket } from './chunk-format.ts'

/** Looks at every packet that an encoder makes for a chunk: says which belong to it, and that they are what was ordered. */
export class ChunkCheck {
  readonly totalFrames: number
  readonly #order: Pick<VideoOrder, 'range' | 'timeline' | 'video'>
  /** Bytes of each frame of the chunk, in the order in which they are shown; 0: not there yet. */
  readonly #frameBytes: Uint32Array
  #frameCount = 0
  #keyframeCount = 0
  #lastDts = -Infinity
  #isBehind = false

  constructor(order: Pick<VideoOrder, 'range' | 'timeline' | 'video'>) {
    this.#order = order
    this.totalFrames = order.range.endFrame - order.range.startFrame
    this.#frameBytes = new Uint32Array(this.totalFrames)
  }

  get frameCount(): number {
    return this.#frameCount
  }

  /** All of its frames are there. */
  get isWhole(): boolean {
    return this.#frameCount === this.totalFrames
  }

  /** Whether the packet belongs to the chunk. Throws `ENCODE_DAMAGED`. */
  add({ pts, dts, isKeyframe, data }: ChunkPacket): boolean {
    const { range, video } = this.#order
    if (dts <= this.#lastDts) throw this.#damaged(`frame ${pts} has decoding time ${dts} behind ${this.#lastDts}`)
    if (dts > pts) throw this.#damaged(`frame ${pts} has decoding time ${dts}, after it is shown`)
    this.#lastDts = dts
    if (pts < range.startFrame || pts >= range.endFrame) {
      this.#isBehind ||= this.#frameCount > 0
      return false
    }
    if (this.#isBehind) throw this.#damaged(`frame ${pts} comes behind frames of another chunk: its GOP is open`)
    if (isKeyframe !== (pts % video.gopFrames === 0)) {
      throw this.#damaged(`frame ${pts} is ${isKeyframe ? 'a' : 'no'} keyframe, with GOPs of ${video.gopFrames}`)
    }
    const index = pts - range.startFrame
    if (this.#frameBytes[index] !== 0) throw this.#damaged(`frame ${pts} came twice`)
    this.#frameBytes[index] = data.length
    this.#frameCount += 1
    if (isKeyframe) this.#keyframeCount += 1
    return true
  }

  /** What became of the chunk. Throws `ENCODE_DAMAGED` when frames are missing. */
  facts({ sizeBytes, sha256 }: ChunkEnd): ChunkFacts {
    if (!this.isWhole) {
      throw this.#damaged(`there are ${this.#frameCount} frames instead of ${this.totalFrames}`)
    }
    const { num, den } = this.#order.timeline.frameRate
    const peakSecondBytes = largestWindow(this.#frameBytes, Math.max(1, Math.round(num / den)))
    return { frameCount: this.#frameCount, keyframeCount: this.#keyframeCount, sizeBytes, sha256, peakSecondBytes }
  }

  #damaged(why: string): AppError {
    const { range, video } = this.#order
    return new AppError('ENCODE_DAMAGED', `${video.encoder} made frames ${range.startFrame} to ${range.endFrame} wrongly: ${why}`)
  }
}

function largestWindow(values: Uint32Array, length: number): number {
  let sum = 0
  let largest = 0
  for (const [index, value] of values.entries()) {
    sum += value - (index >= length ? (values[index - length] ?? 0) : 0)
    largest = Math.max(largest, sum)
  }
  return largest
}
