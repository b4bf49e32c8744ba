/** NAL unit types, ITU-T H.265 Table 7-1. */
export const h265NalTypes = {
  trailN: 0,
  reservedVcl: 31,
  blaWithLeading: 16,
  idrWithRadl: 19,
  idrNoLeading: 20,
  cra: 21,
  vps: 32,
  sps: 33,
  pps: 34,
  accessUnitDelimiter: 35,
  endOfSequence: 36,
  endOfBitstream: 37,
  filler: 38,
  prefixSei: 39,
  suffixSei: 40,
} as const

/** `nal_unit_type` of the unit whose first byte this is. */
export function h265NalType(firstByte: number): number {
  return (firstByte & 0x7e) / 2
}

/** An intra random access point: IDR, BLA or CRA. A decoder can start here; leading pictures of a CRA are skipped. */
export function isH265RandomAccess(type: number): boolean {
  return type >= h265NalTypes.blaWithLeading && type <= h265NalTypes.cra
}
