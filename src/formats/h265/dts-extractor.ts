import { DtsTimeline } from '#formats/h264/dts-timeline.ts'
import type { H265Sps } from './sps.ts'

/** Decode times of H.265 access units. Every SPS says how deep pictures are reordered, so slices need not be looked into. */
export class H265DtsExtractor {
  readonly #timeline: DtsTimeline

  constructor(clockRateHz: number) {
    this.#timeline = new DtsTimeline(clockRateHz)
  }

  /** Takes the parameters of the following units. */
  configure(sps: H265Sps): void {
    this.#timeline.configure({ depth: sps.maxNumReorderFrames, framesPerSecond: sps.framesPerSecond })
  }

  /** The decode time of a unit, in decode order; see `DtsTimeline.next`. Never throws. */
  next(ptsTicks: number): number {
    return this.#timeline.next(ptsTicks)
  }
}
