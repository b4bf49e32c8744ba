/** Track fragment header, ISO/IEC 14496-12 §8.8.7. */
export const tfhdFlags = {
  baseDataOffset: 0x00_0001,
  sampleDescriptionIndex: 0x00_0002,
  defaultSampleDuration: 0x00_0008,
  defaultSampleSize: 0x00_0010,
  defaultSampleFlags: 0x00_0020,
  durationIsEmpty: 0x01_0000,
  defaultBaseIsMoof: 0x02_0000,
} as const

/** Track run, ISO/IEC 14496-12 §8.8.8. */
export const trunFlags = {
  dataOffset: 0x00_0001,
  firstSampleFlags: 0x00_0004,
  sampleDuration: 0x00_0100,
  sampleSize: 0x00_0200,
  sampleFlags: 0x00_0400,
  sampleCompositionOffset: 0x00_0800,
} as const

/** Sample flags, ISO/IEC 14496-12 §8.8.3.1: `sample_depends_on` and `sample_is_non_sync_sample`. */
export const sampleFlags = {
  /** Depends on no other sample. */
  sync: 0x0200_0000,
  /** Depends on others and is no place to start. */
  nonSync: 0x0101_0000,
  /** The bit that tells the two apart. */
  isNonSync: 0x0001_0000,
} as const
