import { nalUnits } from '#formats/media/access-unit.ts'
import { DtsTimeline } from './dts-timeline.ts'
import { h264NalType, h264NalTypes } from './nal-unit.ts'
import { findSliceHead, type H264SliceHead } from './slice.ts'
import type { H264Sps } from './sps.ts'

/** Most B-frames in a row that are believed to explain a step of the picture order count. */
const maxBFrames = 16

const baselineProfile = 66

/**
 * Decode times of H.264 access units. Most encoders that reorder say how deep (`max_num_reorder_frames`); for those that do not,
 * a picture whose picture order count runs ahead tells that B-frames follow, one picture before they do.
 */
export class H264DtsExtractor {
  readonly #timeline: DtsTimeline
  /** Set while slices have to be looked into. */
  #sps: H264Sps | undefined
  /** `frame_num` of the last picture, and the picture order count of the last one in output order. */
  #latest: H264SliceHead | undefined

  constructor(clockRateHz: number) {
    this.#timeline = new DtsTimeline(clockRateHz)
  }

  /** Takes the parameters of the following units. */
  configure(sps: H264Sps): void {
    this.#timeline.configure({ depth: sps.maxNumReorderFrames ?? 0, framesPerSecond: sps.framesPerSecond })
    const isDepthKnown = sps.maxNumReorderFrames !== undefined || sps.profileIdc === baselineProfile || sps.maxNumRefFrames === 0
    this.#sps = isDepthKnown || sps.pocType !== 0 ? undefined : sps
    this.#latest = undefined
  }

  /** The decode time of a unit whose NAL units are `data`, in decode order; see `DtsTimeline.next`. Never throws. */
  next(ptsTicks: number, data: Buffer): number {
    if (this.#sps) this.#learn(data, this.#sps)
    return this.#timeline.next(ptsTicks)
  }

  #learn(data: Buffer, sps: H264Sps): void {
    const slice = firstSlice(data)
    if (!slice) return
    const head = findSliceHead(slice, sps)
    const before = h264NalType(slice[0] ?? 0) === h264NalTypes.idrSlice ? undefined : this.#latest
    this.#latest = head
    if (!head || !before) return
    const pocStep = stepOf(before.pocLsb, head.pocLsb, sps.log2MaxPocLsb)
    const isBFrame = pocStep > 2 ** (sps.log2MaxPocLsb - 1)
    if (isBFrame) this.#latest = { frameNum: head.frameNum, pocLsb: before.pocLsb }
    const areReferencesLost = stepOf(before.frameNum, head.frameNum, sps.log2MaxFrameNum) > 1
    if (isBFrame || areReferencesLost) return
    const pictures = pocStep / 2
    // With B-frames as references of others, as deep as they can be nested, 1 needs a depth of 1, 3 of 2, 7 of 3.
    if (pictures > 1 && pictures <= maxBFrames + 1) this.#timeline.raiseDepth(Math.ceil(Math.log2(pictures)))
  }
}

function firstSlice(data: Buffer): Buffer | undefined {
  for (const nal of nalUnits(data)) {
    const type = h264NalType(nal[0] ?? 0)
    if (type >= h264NalTypes.slice && type <= h264NalTypes.idrSlice) return nal
  }
  return undefined
}

function stepOf(from: number, to: number, log2Modulus: number): number {
  const modulus = 2 ** log2Modulus
  return (to - from + modulus) % modulus
}
