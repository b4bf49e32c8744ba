import { Reader } from '#bytes/reader.ts'
import { aacCodecString } from '#formats/aac/audio-specific-config.ts'
import { h265NalTypes } from '#formats/h265/nal-unit.ts'
import { h265CodecString } from '#formats/h265/sps.ts'
import { AppError } from '#lib/errors.ts'
import { boxesIn, readBoxHeader } from './read-boxes.ts'

/** What stands before the boxes of a sample entry, ISO/IEC 14496-12 §12.1.3 and §12.2.3, with its size and type. */
export const visualEntryBytes = 86
const audioEntryBytes = 36

/**
 * The RFC 6381 name of what a sample entry describes: `avc1.64001f`, `hvc1.1.6.L93.B0`, `av01.0.08M.08`, `vp09.00.31.08`,
 * `mp4a.40.2`, `opus`. Throws `MALFORMED` or `TRUNCATED` when its configuration cannot be read, `UNSUPPORTED` for another codec.
 */
export function sampleEntryCodec(entry: Buffer): string {
  const { type } = readBoxHeader(entry, 0)
  switch (type) {
    case 'avc1':
      return `avc1.${requireConfiguration(entry, visualEntryBytes, 'avcC').toString('hex', 1, 4)}`
    case 'hvc1':
      return h265CodecString(findHevcSps(requireConfiguration(entry, visualEntryBytes, 'hvcC')))
    case 'av01':
      return av1CodecString(requireConfiguration(entry, visualEntryBytes, 'av1C'), findColor(entry))
    case 'vp09':
      return vp9CodecString(requireConfiguration(entry, visualEntryBytes, 'vpcC'))
    case 'mp4a':
      return aacCodecString(readAacConfiguration(requireConfiguration(entry, audioEntryBytes, 'esds')))
    case 'Opus':
      return 'opus'
    default:
      throw new AppError('UNSUPPORTED', `a sample entry "${type}" has no name for players`)
  }
}

/** `colour_primaries`, `transfer_characteristics` and so on of ISO/IEC 23091-2, as `colr` has them. */
export type EntryColor = {
  readonly primaries: number
  readonly transfer: number
  readonly matrix: number
  readonly isFullRange: boolean
}

/** The `nclx` colours of a visual sample entry, ISO/IEC 14496-12 §12.1.5. */
export function findColor(entry: Buffer): EntryColor | undefined {
  for (const { type, body } of boxesIn(entry.subarray(visualEntryBytes))) {
    if (type !== 'colr') continue
    const r = new Reader(body)
    if (r.ascii(4) !== 'nclx') continue // colour_type
    // colour_primaries, transfer_characteristics, matrix_coefficients, full_range_flag
    return { primaries: r.u16(), transfer: r.u16(), matrix: r.u16(), isFullRange: r.u8() >= 0x80 }
  }
  return undefined
}

function requireConfiguration(entry: Buffer, at: number, type: string): Buffer {
  for (const box of boxesIn(entry.subarray(at))) if (box.type === type) return box.body
  throw new AppError('MALFORMED', `a sample entry of ${entry.length} bytes has no "${type}"`)
}

/** The first sequence parameter set of an HEVC configuration record, ISO/IEC 14496-15 §8.3.3.1. */
function findHevcSps(record: Buffer): Buffer {
  for (const { type, nals } of hevcArrays(record)) {
    const [nal] = nals
    if (type === h265NalTypes.sps && nal) return nal
  }
  throw new AppError('MALFORMED', 'an HEVC configuration record without sequence parameter set')
}

/** NAL units of one type in an HEVC configuration record. */
export type HevcArray = { readonly type: number; readonly nals: readonly Buffer[] }

/** Bytes of an HEVC configuration record before its arrays; the last one counts them. */
export const hevcRecordHeadBytes = 23

/** The arrays of an HEVC configuration record. Throws `TRUNCATED`. */
export function hevcArrays(record: Buffer): HevcArray[] {
  const r = new Reader(record)
  r.skip(hevcRecordHeadBytes - 1) // configurationVersion … lengthSizeMinusOne
  return Array.from({ length: r.u8() }, () => {
    const type = r.u8() % 64 // array_completeness, reserved, NAL_unit_type
    return { type, nals: Array.from({ length: r.u16() }, () => r.slice(r.u16())) }
  })
}

/**
 * `av01.<profile>.<level><tier>.<bits>`, with colours where they are not those of BT.709: AV1 Codec ISO Media File Format Binding
 * §5.
 */
function av1CodecString(record: Buffer, color: EntryColor | undefined): string {
  const r = new Reader(record)
  r.skip(1) // marker, version
  const profileAndLevel = r.u8() // seq_profile, seq_level_idx_0
  const flags = r.u8() // seq_tier_0, high_bitdepth, twelve_bit, monochrome, chroma_subsampling_x, _y, chroma_sample_position
  const bits = flags & 0x40 ? (flags & 0x20 ? 12 : 10) : 8
  const base = `av01.${profileAndLevel >>> 5}.${two(profileAndLevel % 32)}${flags & 0x80 ? 'H' : 'M'}.${two(bits)}`
  if (!color || (color.primaries <= 2 && color.transfer <= 2 && color.matrix <= 2)) return base
  const isMonochrome = flags & 0x10 ? 1 : 0
  const subsampling = `${flags & 8 ? 1 : 0}${flags & 4 ? 1 : 0}${flags % 4}`
  return `${base}.${isMonochrome}.${subsampling}.${two(color.primaries)}.${two(color.transfer)}.${two(color.matrix)}.${color.isFullRange ? 1 : 0}`
}

/** VP Codec ISO Media File Format Binding: the short form, and the long one where colours are not those of BT.709. */
function vp9CodecString(record: Buffer): string {
  const r = new Reader(record)
  r.skip(4) // version, flags
  const profile = r.u8() // profile
  const level = r.u8() // level
  const packed = r.u8() // bitDepth, chromaSubsampling, videoFullRangeFlag
  const colors = [r.u8(), r.u8(), r.u8()] // colourPrimaries, transferCharacteristics, matrixCoefficients
  const base = `vp09.${two(profile)}.${two(level)}.${two(packed >>> 4)}`
  if (colors.every((value) => value <= 2)) return base
  return [base, two((packed >>> 1) % 8), ...colors.map(two), two(packed % 2)].join('.')
}

/** `AudioSpecificConfig` out of an elementary stream descriptor, ISO/IEC 14496-1 §7.2.6.5. */
function readAacConfiguration(esds: Buffer): Buffer {
  const r = new Reader(esds)
  r.skip(4) // version, flags
  openDescriptor(r, 3) // ES_DescrTag
  r.skip(2) // ES_ID
  const flags = r.u8() // streamDependenceFlag, URL_Flag, OCRstreamFlag
  if (flags & 0xe0) throw new AppError('UNSUPPORTED', 'an elementary stream descriptor that refers to another stream')
  openDescriptor(r, 4) // DecoderConfigDescrTag
  r.skip(13) // objectTypeIndication … avgBitrate
  return r.slice(openDescriptor(r, 5)) // DecSpecificInfoTag
}

/** Tag and size of a descriptor, ISO/IEC 14496-1 §8.3.3. Returns the size. */
function openDescriptor(r: Reader, tag: number): number {
  const found = r.u8()
  if (found !== tag) throw new AppError('MALFORMED', `descriptor ${found} where ${tag} should be`)
  let size = 0
  for (let i = 0; i < 4; i++) {
    const byte = r.u8()
    size = size * 128 + (byte % 128)
    if (byte < 128) return size
  }
  throw new AppError('MALFORMED', 'a descriptor whose size has more than four bytes')
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
