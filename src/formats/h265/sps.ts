import { BitReader } from '#bytes/bit-reader.ts'
import { withoutEmulationPrevention } from '#formats/h264/annex-b.ts'
import { AppError } from '#lib/errors.ts'
import { h265NalType, h265NalTypes } from './nal-unit.ts'
import { readProfile, type H265Profile } from './profile.ts'
import { findSpsFramesPerSecond } from './vui.ts'

/** What Millrace needs of a sequence parameter set, ITU-T H.265 §7.4.3.2. */
export type H265Sps = H265Profile & {
  readonly temporalLayerCount: number
  readonly isTemporalIdNested: boolean
  readonly chromaFormatIdc: number
  readonly bitDepthLuma: number
  readonly bitDepthChroma: number
  readonly log2MaxPocLsb: number
  /** Pixels shown, after the conformance window. */
  readonly width: number
  readonly height: number
  /** `sps_max_num_reorder_pics` of the highest temporal layer. */
  readonly maxNumReorderFrames: number
  /** From the VUI's timing, where given and readable. */
  readonly framesPerSecond?: number
}

/** Highest width or height taken seriously: twice what level 6.2 allows. */
const maxDimension = 32_768

/** Parses a bare SPS NAL unit. Throws `MALFORMED` or `TRUNCATED`. A VUI that cannot be read is treated as absent: it is advice. */
export function parseH265Sps(nal: Buffer): H265Sps {
  if (h265NalType(nal[0] ?? 0) !== h265NalTypes.sps) throw new AppError('MALFORMED', 'not an H.265 sequence parameter set')
  const r = new BitReader(withoutEmulationPrevention(nal))
  r.skip(16) // NAL unit header
  r.skip(4) // sps_video_parameter_set_id
  const maxSubLayersMinus1 = atMost('sps_max_sub_layers_minus1', r.bits(3), 6)
  const isTemporalIdNested = r.flag() // sps_temporal_id_nesting_flag
  const profile = readProfile(r, maxSubLayersMinus1)
  atMost('sps_seq_parameter_set_id', r.ue(), 15)
  const size = readSize(r)
  const bitDepthLuma = atMost('bit_depth_luma_minus8', r.ue(), 8) + 8
  const bitDepthChroma = atMost('bit_depth_chroma_minus8', r.ue(), 8) + 8
  const log2MaxPocLsb = atMost('log2_max_pic_order_cnt_lsb_minus4', r.ue(), 12) + 4
  const maxNumReorderFrames = readReorderDepth(r, maxSubLayersMinus1)
  const framesPerSecond = findSpsFramesPerSecond(r, { chromaFormatIdc: size.chromaFormatIdc, log2MaxPocLsb })
  return {
    ...profile,
    temporalLayerCount: maxSubLayersMinus1 + 1,
    isTemporalIdNested,
    ...size,
    bitDepthLuma,
    bitDepthChroma,
    log2MaxPocLsb,
    maxNumReorderFrames,
    ...(framesPerSecond ? { framesPerSecond } : {}),
  }
}

/** The RFC 6381 name of the stream, ISO/IEC 14496-15 §E.3: `hvc1.1.6.L93.B0`. Throws as `parseH265Sps`. */
export function h265CodecString(sps: Buffer): string {
  const { profileSpace, profileIdc, compatibilityFlags, isHighTier, levelIdc, constraintBytes } = parseH265Sps(sps)
  const space = ['', 'A', 'B', 'C'][profileSpace] ?? ''
  const reversed = Number.parseInt(compatibilityFlags.toString(2).padStart(32, '0').split('').toReversed().join(''), 2)
  const used = constraintBytes.slice(0, constraintBytes.findLastIndex((byte) => byte !== 0) + 1)
  const constraints = used.map((byte) => `.${byte.toString(16).toUpperCase()}`).join('')
  return `hvc1.${space}${profileIdc}.${reversed.toString(16).toUpperCase()}.${isHighTier ? 'H' : 'L'}${levelIdc}${constraints}`
}

function readSize(r: BitReader): Pick<H265Sps, 'chromaFormatIdc' | 'width' | 'height'> {
  const chromaFormatIdc = atMost('chroma_format_idc', r.ue(), 3)
  const isSeparateColourPlane = chromaFormatIdc === 3 && r.flag() // separate_colour_plane_flag
  const codedWidth = atMost('pic_width_in_luma_samples', r.ue(), maxDimension)
  const codedHeight = atMost('pic_height_in_luma_samples', r.ue(), maxDimension)
  if (!r.flag()) return { chromaFormatIdc, ...notEmpty(codedWidth, codedHeight) } // conformance_window_flag
  const unitX = !isSeparateColourPlane && (chromaFormatIdc === 1 || chromaFormatIdc === 2) ? 2 : 1 // SubWidthC, Table 6-1
  const unitY = !isSeparateColourPlane && chromaFormatIdc === 1 ? 2 : 1 // SubHeightC
  const width = codedWidth - (r.ue() + r.ue()) * unitX // conf_win_left_offset, conf_win_right_offset
  const height = codedHeight - (r.ue() + r.ue()) * unitY // conf_win_top_offset, conf_win_bottom_offset
  return { chromaFormatIdc, ...notEmpty(width, height) }
}

function notEmpty(width: number, height: number): { width: number; height: number } {
  if (width <= 0 || height <= 0) throw new AppError('MALFORMED', `H.265 parameter set with a picture of ${width} × ${height}`)
  return { width, height }
}

function readReorderDepth(r: BitReader, maxSubLayersMinus1: number): number {
  const first = r.flag() ? 0 : maxSubLayersMinus1 // sps_sub_layer_ordering_info_present_flag
  let depth = 0
  for (let i = first; i <= maxSubLayersMinus1; i++) {
    r.ue() // sps_max_dec_pic_buffering_minus1
    depth = atMost('sps_max_num_reorder_pics', r.ue(), 15)
    r.ue() // sps_max_latency_increase_plus1
  }
  return depth
}

function atMost(name: string, value: number, limit: number): number {
  if (value > limit) throw new AppError('MALFORMED', `H.265 parameter set has ${name} ${value}, at most ${limit} is allowed`)
  return value
}
