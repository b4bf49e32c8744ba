import { parseH264Sps } from '#formats/h264/sps.ts'
import { h265NalTypes } from '#formats/h265/nal-unit.ts'
import { parseH265Sps } from '#formats/h265/sps.ts'
import type { BoxWriter } from './box-writer.ts'

/** Profiles whose configuration record ends with chroma format and bit depths, ISO/IEC 14496-15 §5.3.3.1.2. */
const extendedProfiles = new Set([100, 110, 122, 144])

/** AVC decoder configuration record, ISO/IEC 14496-15 §5.3.3.1: NAL units carry a length of four bytes. */
export function writeAvcConfiguration(w: BoxWriter, { sps, pps }: { sps: Buffer; pps: Buffer }): void {
  const { profileIdc, constraintFlags, levelIdc, chromaFormatIdc, bitDepthLuma, bitDepthChroma } = parseH264Sps(sps)
  w.box('avcC', () => {
    w.u8(1) // configurationVersion
    w.u8(profileIdc) // AVCProfileIndication
    w.u8(constraintFlags) // profile_compatibility
    w.u8(levelIdc) // AVCLevelIndication
    w.u8(0xfc + 3) // reserved, lengthSizeMinusOne
    w.u8(0xe0 + 1) // reserved, numOfSequenceParameterSets
    w.u16(sps.length).raw(sps) // sequenceParameterSetNALUnit
    w.u8(1) // numOfPictureParameterSets
    w.u16(pps.length).raw(pps) // pictureParameterSetNALUnit
    if (!extendedProfiles.has(profileIdc)) return
    w.u8(0xfc + chromaFormatIdc) // reserved, chroma_format
    w.u8(0xf8 + bitDepthLuma - 8) // reserved, bit_depth_luma_minus8
    w.u8(0xf8 + bitDepthChroma - 8) // reserved, bit_depth_chroma_minus8
    w.u8(0) // numOfSequenceParameterSetExt
  })
}

/** HEVC decoder configuration record, ISO/IEC 14496-15 §8.3.3.1: NAL units carry a length of four bytes. */
export function writeHevcConfiguration(w: BoxWriter, { vps, sps, pps }: { vps: Buffer; sps: Buffer; pps: Buffer }): void {
  const info = parseH265Sps(sps)
  const nalArrays = [
    { type: h265NalTypes.vps, nal: vps },
    { type: h265NalTypes.sps, nal: sps },
    { type: h265NalTypes.pps, nal: pps },
  ]
  w.box('hvcC', () => {
    w.u8(1) // configurationVersion
    w.u8(info.profileSpace * 64 + (info.isHighTier ? 32 : 0) + info.profileIdc) // general_profile_space, _tier_flag, _profile_idc
    w.u32(info.compatibilityFlags) // general_profile_compatibility_flags
    for (const byte of info.constraintBytes) w.u8(byte) // general_constraint_indicator_flags
    w.u8(info.levelIdc) // general_level_idc
    w.u16(0xf000) // reserved, min_spatial_segmentation_idc: unknown
    w.u8(0xfc) // reserved, parallelismType: unknown
    w.u8(0xfc + info.chromaFormatIdc) // reserved, chromaFormat
    w.u8(0xf8 + info.bitDepthLuma - 8) // reserved, bitDepthLumaMinus8
    w.u8(0xf8 + info.bitDepthChroma - 8) // reserved, bitDepthChromaMinus8
    w.u16(0) // avgFrameRate: unspecified
    // constantFrameRate 0, numTemporalLayers, temporalIdNested, lengthSizeMinusOne
    w.u8(info.temporalLayerCount * 8 + (info.isTemporalIdNested ? 4 : 0) + 3)
    w.u8(nalArrays.length) // numOfArrays
    for (const { type, nal } of nalArrays) {
      w.u8(0x80 + type) // array_completeness, reserved, NAL_unit_type
      w.u16(1) // numNalus
      w.u16(nal.length).raw(nal) // nalUnitLength, nalUnit
    }
  })
}
