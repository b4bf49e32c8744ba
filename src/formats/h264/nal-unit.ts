/** NAL unit types, ITU-T H.264 Table 7-1. */
export const h264NalTypes = {
  slice: 1,
  partitionA: 2,
  partitionB: 3,
  partitionC: 4,
  idrSlice: 5,
  sei: 6,
  sps: 7,
  pps: 8,
  accessUnitDelimiter: 9,
  endOfSequence: 10,
  endOfStream: 11,
  filler: 12,
} as const

/** `nal_unit_type` of the unit whose first byte this is. */
export function h264NalType(firstByte: number): number {
  return firstByte & 0x1f
}
