import type { BitReader } from '#bytes/bit-reader.ts'
import { AppError } from '#lib/errors.ts'

/** What the video usability information says about time and order, ITU-T H.264 Annex E. */
export type H264Vui = { readonly framesPerSecond?: number; readonly maxNumReorderFrames?: number }

/** Reads as far as it goes: encoders leave it out, cut it short and get it wrong, and all of it is optional. */
export function readVui(r: BitReader): H264Vui {
  let vui: H264Vui = {}
  try {
    skipDescription(r)
    if (r.flag()) vui = readTiming(r) // timing_info_present_flag
    skipBufferModel(r)
    if (r.flag()) vui = { ...vui, ...readRestriction(r) } // bitstream_restriction_flag
  } catch (error) {
    if (!(error instanceof AppError)) throw error
  }
  return vui
}

function skipDescription(r: BitReader): void {
  if (r.flag() && r.bits(8) === 255) r.skip(32) // aspect_ratio_idc: Extended_SAR has sar_width, sar_height
  if (r.flag()) r.skip(1) // overscan_appropriate_flag
  if (r.flag()) {
    r.skip(4) // video_format, video_full_range_flag
    if (r.flag()) r.skip(24) // colour_primaries, transfer_characteristics, matrix_coefficients
  }
  if (r.flag()) {
    r.ue() // chroma_sample_loc_type_top_field
    r.ue() // chroma_sample_loc_type_bottom_field
  }
}

function readTiming(r: BitReader): H264Vui {
  const unitsInTick = r.bits(32) // num_units_in_tick
  const timeScale = r.bits(32) // time_scale
  r.skip(1) // fixed_frame_rate_flag
  const framesPerSecond = timeScale / (2 * unitsInTick)
  return framesPerSecond > 0 && framesPerSecond <= 1000 ? { framesPerSecond } : {}
}

function skipBufferModel(r: BitReader): void {
  const hasNal = r.flag() // nal_hrd_parameters_present_flag
  if (hasNal) skipHrd(r)
  const hasVcl = r.flag() // vcl_hrd_parameters_present_flag
  if (hasVcl) skipHrd(r)
  if (hasNal || hasVcl) r.skip(1) // low_delay_hrd_flag
  r.skip(1) // pic_struct_present_flag
}

/** §E.1.2 */
function skipHrd(r: BitReader): void {
  const count = r.ue() + 1 // cpb_cnt_minus1
  if (count > 32) throw new AppError('MALFORMED', `H.264 hypothetical decoder with ${count} buffers, at most 32 are allowed`)
  r.skip(8) // bit_rate_scale, cpb_size_scale
  for (let i = 0; i < count; i++) {
    r.ue() // bit_rate_value_minus1
    r.ue() // cpb_size_value_minus1
    r.skip(1) // cbr_flag
  }
  r.skip(20) // initial_cpb_removal_delay_length_minus1, cpb_removal_delay_length_minus1, dpb_output_delay_length_minus1, time_offset_length
}

function readRestriction(r: BitReader): H264Vui {
  r.skip(1) // motion_vectors_over_pic_boundaries_flag
  for (let i = 0; i < 4; i++) r.ue() // max_bytes_per_pic_denom, max_bits_per_mb_denom, log2_max_mv_length_horizontal, …_vertical
  const maxNumReorderFrames = r.ue() // max_num_reorder_frames
  return maxNumReorderFrames <= 16 ? { maxNumReorderFrames } : {}
}
