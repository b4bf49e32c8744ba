import { BitReader } from '#bytes/bit-reader.ts'
import { AppError } from '#lib/errors.ts'
import { withoutEmulationPrevention } from './annex-b.ts'
import { h264NalType, h264NalTypes } from './nal-unit.ts'
import { readVui } from './vui.ts'

/** What Millrace needs of a sequence parameter set, ITU-T H.264 §7.4.2.1. */
export type H264Sps = {
  readonly profileIdc: number
  /** The byte of `constraint_set0_flag` (highest bit) and following, as in a codec string. */
  readonly constraintFlags: number
  readonly levelIdc: number
  readonly id: number
  readonly chromaFormatIdc: number
  readonly isSeparateColourPlane: boolean
  readonly bitDepthLuma: number
  readonly bitDepthChroma: number
  readonly log2MaxFrameNum: number
  readonly pocType: number
  /** 0 unless `pocType` is 0. */
  readonly log2MaxPocLsb: number
  readonly maxNumRefFrames: number
  /** No field pictures and no field macroblocks. */
  readonly isFrameMbsOnly: boolean
  /** Pixels shown, after cropping. */
  readonly width: number
  readonly height: number
  /** `time_scale / (2 × num_units_in_tick)`, where the VUI has timing. */
  readonly framesPerSecond?: number
  /** From the VUI's bitstream restriction, where given. */
  readonly maxNumReorderFrames?: number
}

/** Highest width or height taken seriously: twice what level 6.2 allows. */
const maxDimension = 32_768

/** Profiles whose parameter sets carry chroma format and bit depth, §7.3.2.1.1. */
const highProfiles = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135])

/** Parses a bare SPS NAL unit. Throws `MALFORMED` or `TRUNCATED`. A VUI that cannot be read is treated as absent: it is advice. */
export function parseH264Sps(nal: Buffer): H264Sps {
  if (h264NalType(nal[0] ?? 0) !== h264NalTypes.sps) throw new AppError('MALFORMED', 'not an H.264 sequence parameter set')
  const r = new BitReader(withoutEmulationPrevention(nal))
  r.skip(8) // NAL unit header
  const profileIdc = r.bits(8) // profile_idc
  const constraintFlags = r.bits(8) // constraint_set0_flag … reserved_zero_2bits
  const levelIdc = r.bits(8) // level_idc
  const id = atMost('seq_parameter_set_id', r.ue(), 31)
  const chroma = readChroma(r, profileIdc)
  const log2MaxFrameNum = atMost('log2_max_frame_num_minus4', r.ue(), 12) + 4
  const order = readPictureOrder(r)
  const maxNumRefFrames = atMost('max_num_ref_frames', r.ue(), 16)
  r.skip(1) // gaps_in_frame_num_value_allowed_flag
  const size = readSize(r, chroma)
  const vui = r.flag() ? readVui(r) : {}
  return { profileIdc, constraintFlags, levelIdc, id, ...chroma, log2MaxFrameNum, ...order, maxNumRefFrames, ...size, ...vui }
}

/** The RFC 6381 name of the stream: `avc1.64001f`. Throws `TRUNCATED` for an SPS shorter than four bytes. */
export function h264CodecString(sps: Buffer): string {
  if (sps.length < 4) throw new AppError('TRUNCATED', `H.264 parameter set of ${sps.length} bytes, need 4`)
  return `avc1.${sps.toString('hex', 1, 4)}`
}

type Chroma = Pick<H264Sps, 'chromaFormatIdc' | 'isSeparateColourPlane' | 'bitDepthLuma' | 'bitDepthChroma'>

function readChroma(r: BitReader, profileIdc: number): Chroma {
  if (!highProfiles.has(profileIdc)) {
    return { chromaFormatIdc: 1, isSeparateColourPlane: false, bitDepthLuma: 8, bitDepthChroma: 8 }
  }
  const chromaFormatIdc = atMost('chroma_format_idc', r.ue(), 3)
  const isSeparateColourPlane = chromaFormatIdc === 3 && r.flag() // separate_colour_plane_flag
  const bitDepthLuma = atMost('bit_depth_luma_minus8', r.ue(), 6) + 8
  const bitDepthChroma = atMost('bit_depth_chroma_minus8', r.ue(), 6) + 8
  r.skip(1) // qpprime_y_zero_transform_bypass_flag
  if (r.flag()) skipScalingLists(r, chromaFormatIdc === 3 ? 12 : 8) // seq_scaling_matrix_present_flag
  return { chromaFormatIdc, isSeparateColourPlane, bitDepthLuma, bitDepthChroma }
}

/** §7.3.2.1.1.1 */
function skipScalingLists(r: BitReader, count: number): void {
  for (let list = 0; list < count; list++) {
    if (!r.flag()) continue // seq_scaling_list_present_flag
    const size = list < 6 ? 16 : 64
    for (let i = 0, last = 8; i < size && last !== 0; i++) last = (last + r.se() + 256) % 256 // delta_scale
  }
}

function readPictureOrder(r: BitReader): Pick<H264Sps, 'pocType' | 'log2MaxPocLsb'> {
  const pocType = atMost('pic_order_cnt_type', r.ue(), 2)
  if (pocType === 0) return { pocType, log2MaxPocLsb: atMost('log2_max_pic_order_cnt_lsb_minus4', r.ue(), 12) + 4 }
  if (pocType === 1) {
    r.skip(1) // delta_pic_order_always_zero_flag
    r.se() // offset_for_non_ref_pic
    r.se() // offset_for_top_to_bottom_field
    const count = atMost('num_ref_frames_in_pic_order_cnt_cycle', r.ue(), 255)
    for (let i = 0; i < count; i++) r.se() // offset_for_ref_frame
  }
  return { pocType, log2MaxPocLsb: 0 }
}

function readSize(r: BitReader, chroma: Chroma): Pick<H264Sps, 'isFrameMbsOnly' | 'width' | 'height'> {
  const codedWidth = (atMost('pic_width_in_mbs_minus1', r.ue(), maxDimension / 16 - 1) + 1) * 16
  const mapUnits = atMost('pic_height_in_map_units_minus1', r.ue(), maxDimension / 16 - 1) + 1
  const isFrameMbsOnly = r.flag() // frame_mbs_only_flag
  const codedHeight = mapUnits * 16 * (isFrameMbsOnly ? 1 : 2)
  if (!isFrameMbsOnly) r.skip(1) // mb_adaptive_frame_field_flag
  r.skip(1) // direct_8x8_inference_flag
  if (!r.flag()) return { isFrameMbsOnly, width: codedWidth, height: codedHeight } // frame_cropping_flag
  const hasHalfChroma = !chroma.isSeparateColourPlane && (chroma.chromaFormatIdc === 1 || chroma.chromaFormatIdc === 2)
  const cropUnitX = hasHalfChroma ? 2 : 1 // CropUnitX, Table 6-1
  const cropUnitY = (hasHalfChroma && chroma.chromaFormatIdc === 1 ? 2 : 1) * (isFrameMbsOnly ? 1 : 2) // CropUnitY
  const width = codedWidth - (r.ue() + r.ue()) * cropUnitX // frame_crop_left_offset, frame_crop_right_offset
  const height = codedHeight - (r.ue() + r.ue()) * cropUnitY // frame_crop_top_offset, frame_crop_bottom_offset
  if (width <= 0 || height <= 0) throw new AppError('MALFORMED', 'H.264 parameter set crops the whole picture away')
  return { isFrameMbsOnly, width, height }
}

function atMost(name: string, value: number, limit: number): number {
  if (value > limit) throw new AppError('MALFORMED', `H.264 parameter set has ${name} ${value}, at most ${limit} is allowed`)
  return value
}
