import type { BitReader } from '#bytes/bit-reader.ts'

/** `profile_tier_level`, ITU-T H.265 §7.3.3, as codec strings and `hvcC` have it. */
export type H265Profile = {
  readonly profileSpace: number
  readonly isHighTier: boolean
  readonly profileIdc: number
  /** `general_profile_compatibility_flag[0]` is the highest bit. */
  readonly compatibilityFlags: number
  /** The 48 bits from `general_progressive_source_flag` on, as six bytes. */
  readonly constraintBytes: readonly number[]
  /** 30 times the level: 93 is level 3.1. */
  readonly levelIdc: number
}

/** Reads the general part and skips that of the sub-layers. */
export function readProfile(r: BitReader, maxSubLayersMinus1: number): H265Profile {
  const profile = {
    profileSpace: r.bits(2), // general_profile_space
    isHighTier: r.flag(), // general_tier_flag
    profileIdc: r.bits(5), // general_profile_idc
    compatibilityFlags: r.bits(32), // general_profile_compatibility_flag
    constraintBytes: Array.from({ length: 6 }, () => r.bits(8)), // general_progressive_source_flag …
    levelIdc: r.bits(8), // general_level_idc
  }
  const subLayers = Array.from({ length: maxSubLayersMinus1 }, () => ({ hasProfile: r.flag(), hasLevel: r.flag() }))
  if (maxSubLayersMinus1 > 0) r.skip(2 * (8 - maxSubLayersMinus1)) // reserved_zero_2bits
  for (const { hasProfile, hasLevel } of subLayers) r.skip((hasProfile ? 88 : 0) + (hasLevel ? 8 : 0))
  return profile
}
