import { AacDepacketizer } from './aac-depacketizer.ts'
import { BareDepacketizer } from './bare-depacketizer.ts'
import type { Depacketizer, FrameSink } from './depacketizer.ts'
import { H264Depacketizer } from './h264-depacketizer.ts'
import { H265Depacketizer } from './h265-depacketizer.ts'
import type { RtpTrackDescription } from './track-description.ts'

/** The depacketizer for a track's codec. */
export function createDepacketizer({ parameters, clockRateHz }: RtpTrackDescription, sink: FrameSink): Depacketizer {
  switch (parameters.codec) {
    case 'h264':
      return new H264Depacketizer(parameters, sink)
    case 'h265':
      return new H265Depacketizer(parameters, sink)
    case 'aac':
      return new AacDepacketizer(parameters, clockRateHz, sink)
    case 'opus':
    case 'pcma':
    case 'pcmu':
      return new BareDepacketizer(parameters, sink)
    default:
      return parameters satisfies never
  }
}
