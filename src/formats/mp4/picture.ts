import { parseH264Sps } from '#formats/h264/sps.ts'
import { parseH265Sps } from '#formats/h265/sps.ts'
import type { CodecParameters } from '#formats/media/track.ts'

/** Size of the picture in pixels, 0 × 0 for audio. Throws `MALFORMED` or `TRUNCATED` for parameter sets that cannot be read. */
export function pictureOf(parameters: CodecParameters): { width: number; height: number } {
  if (parameters.codec === 'h264') return parseH264Sps(parameters.sps)
  if (parameters.codec === 'h265') return parseH265Sps(parameters.sps)
  return { width: 0, height: 0 }
}
