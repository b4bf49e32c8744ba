import type { BitReader } from '#bytes/bit-reader.ts'
import { AppError } from '#lib/errors.ts'

/**
 * The frame rate of a sequence parameter set, read from behind `log2_max_pic_order_cnt_lsb` and the reorder information, ITU-T H.265
 * §7.3.2.2 and Annex E. `undefined` when there is none, or when something on the way there cannot be read: it is advice, nothing more.
 */
export function findSpsFramesPerSecond(
  r: BitReader,
  { chromaFormatIdc, log2MaxPocLsb }: { chromaFormatIdc: number; log2MaxPocLsb: number },
): number | undefined {
  try {
    skipCodingTools(r, chromaFormatIdc)
    skipReferenceSets(r, log2MaxPocLsb)
    r.skip(2) // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    return r.flag() ? readVuiFrameRate(r) : undefined // vui_parameters_present_flag
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

function skipCodingTools(r: BitReader, chromaFormatIdc: number): void {
  // log2_min_luma_coding_block_size_minus3, log2_diff_max_min_luma_coding_block_size, log2_min_luma_transform_block_size_minus2,
  // log2_diff_max_min_luma_transform_block_size, max_transform_hierarchy_depth_inter, max_transform_hierarchy_depth_intra
  for (let i = 0; i < 6; i++) r.ue()
  if (r.flag() && r.flag()) skipScalingLists(r, chromaFormatIdc) // scaling_list_enabled_flag, sps_scaling_list_data_present_flag
  r.skip(2) // amp_enabled_flag, sample_adaptive_offset_enabled_flag
  if (!r.flag()) return // pcm_enabled_flag
  r.skip(8) // pcm_sample_bit_depth_luma_minus1, pcm_sample_bit_depth_chroma_minus1
  r.ue() // log2_min_pcm_luma_coding_block_size_minus3
  r.ue() // log2_diff_max_min_pcm_luma_coding_block_size
  r.skip(1) // pcm_loop_filter_disabled_flag
}

/** §7.3.4 */
function skipScalingLists(r: BitReader, chromaFormatIdc: number): void {
  for (let sizeId = 0; sizeId < 4; sizeId++) {
    const step = sizeId === 3 && chromaFormatIdc !== 3 ? 3 : 1
    for (let matrixId = 0; matrixId < 6; matrixId += step) {
      if (!r.flag()) {
        r.ue() // scaling_list_pred_matrix_id_delta
        continue
      }
      if (sizeId > 1) r.se() // scaling_list_dc_coef_minus8
      const coefficients = Math.min(64, 4 ** (sizeId + 2))
      for (let i = 0; i < coefficients; i++) r.se() // scaling_list_delta_coef
    }
  }
}

function skipReferenceSets(r: BitReader, log2MaxPocLsb: number): void {
  const count = atMost('num_short_term_ref_pic_sets', r.ue(), 64)
  let deltaPocs = 0
  for (let i = 0; i < count; i++) deltaPocs = skipShortTermSet(r, i, deltaPocs)
  if (!r.flag()) return // long_term_ref_pics_present_flag
  const longTerm = atMost('num_long_term_ref_pics_sps', r.ue(), 32)
  r.skip(longTerm * (log2MaxPocLsb + 1)) // lt_ref_pic_poc_lsb_sps, used_by_curr_pic_lt_sps_flag
}

/** §7.3.7. `previous` is `NumDeltaPocs` of the set before; the result that of this one. */
function skipShortTermSet(r: BitReader, index: number, previous: number): number {
  if (index > 0 && r.flag()) {
    // inter_ref_pic_set_prediction_flag
    r.skip(1) // delta_rps_sign
    r.ue() // abs_delta_rps_minus1
    let count = 0
    for (let j = 0; j <= previous; j++) {
      const isUsed = r.flag() // used_by_curr_pic_flag
      if (isUsed || r.flag()) count += 1 // use_delta_flag
    }
    return count
  }
  const negative = atMost('num_negative_pics', r.ue(), 16)
  const positive = atMost('num_positive_pics', r.ue(), 16)
  for (let i = 0; i < negative + positive; i++) {
    r.ue() // delta_poc_s0_minus1 or delta_poc_s1_minus1
    r.skip(1) // used_by_curr_pic_s0_flag or used_by_curr_pic_s1_flag
  }
  return negative + positive
}

/** §E.2.1, as far as the timing. */
function readVuiFrameRate(r: BitReader): number | undefined {
  if (r.flag() && r.bits(8) === 255) r.skip(32) // aspect_ratio_idc: EXTENDED_SAR has sar_width, sar_height
  if (r.flag()) r.skip(1) // overscan_appropriate_flag
  if (r.flag()) {
    r.skip(4) // video_format, video_full_range_flag
    if (r.flag()) r.skip(24) // colour_primaries, transfer_characteristics, matrix_coeffs
  }
  if (r.flag()) {
    r.ue() // chroma_sample_loc_type_top_field
    r.ue() // chroma_sample_loc_type_bottom_field
  }
  r.skip(3) // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
  if (r.flag()) for (let i = 0; i < 4; i++) r.ue() // def_disp_win_left_offset, …_right_offset, …_top_offset, …_bottom_offset
  if (!r.flag()) return undefined // vui_timing_info_present_flag
  const unitsInTick = r.bits(32) // vui_num_units_in_tick
  const timeScale = r.bits(32) // vui_time_scale
  const framesPerSecond = timeScale / unitsInTick
  return framesPerSecond > 0 && framesPerSecond <= 1000 ? framesPerSecond : undefined
}

function atMost(name: string, value: number, limit: number): number {
  if (value > limit) throw new AppError('MALFORMED', `H.265 parameter set has ${name} ${value}, at most ${limit} is allowed`)
  return value
}
