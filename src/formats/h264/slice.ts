import { BitReader } from '#bytes/bit-reader.ts'
import { AppError } from '#lib/errors.ts'
import { withoutEmulationPrevention } from './annex-b.ts'
import { h264NalType, h264NalTypes } from './nal-unit.ts'
import type { H264Sps } from './sps.ts'

/** Bytes of a slice that surely hold its header up to the picture order count, escapes included. */
const headBytes = 40

export type H264SliceHead = { readonly frameNum: number; readonly pocLsb: number }

/** Start of a slice header, ITU-T H.264 §7.3.3, for `pocType` 0. `undefined` when it cannot be read: the slice is then as good as unknown. */
export function findSliceHead(slice: Buffer, sps: H264Sps): H264SliceHead | undefined {
  try {
    const r = new BitReader(withoutEmulationPrevention(slice.subarray(0, headBytes)))
    r.skip(8) // NAL unit header
    r.ue() // first_mb_in_slice
    r.ue() // slice_type
    r.ue() // pic_parameter_set_id
    if (sps.isSeparateColourPlane) r.skip(2) // colour_plane_id
    const frameNum = r.bits(sps.log2MaxFrameNum) // frame_num
    if (!sps.isFrameMbsOnly && r.flag()) r.skip(1) // field_pic_flag, bottom_field_flag
    if (h264NalType(slice[0] ?? 0) === h264NalTypes.idrSlice) r.ue() // idr_pic_id
    return { frameNum, pocLsb: r.bits(sps.log2MaxPocLsb) } // pic_order_cnt_lsb
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}
