import { parseH264Sps } from '#formats/h264/sps.ts'
import { parseH265Sps } from '#formats/h265/sps.ts'
import type { Track } from '#formats/media/track.ts'
import type { TrackStatus } from './status.ts'

/** A track as shown to people: codec, picture size or channels. */
export function trackStatus({ id, kind, clockRateHz, parameters }: Track): TrackStatus {
  const base = { id, kind, codec: parameters.codec, clockRateHz }
  switch (parameters.codec) {
    case 'h264': {
      const { width, height } = parseH264Sps(parameters.sps)
      return { ...base, width, height }
    }
    case 'h265': {
      const { width, height } = parseH265Sps(parameters.sps)
      return { ...base, width, height }
    }
    case 'aac':
    case 'opus':
    case 'pcma':
    case 'pcmu':
      return { ...base, channelCount: parameters.channelCount }
    default:
      return parameters satisfies never
  }
}
