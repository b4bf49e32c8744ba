import { splitAnnexB } from '#formats/h264/annex-b.ts'
import { h264NalType, h264NalTypes } from '#formats/h264/nal-unit.ts'
import { h265NalType, h265NalTypes } from '#formats/h265/nal-unit.ts'
import type { ChunkStream } from '../transcode/chunk-description.ts'

type Codec = ChunkStream['codec']

/** Parameter sets and delimiters: the sample entry has them, and `avc1` and `hvc1` forbid them in samples. */
const leftOut = {
  h264: new Set<number>([h264NalTypes.sps, h264NalTypes.pps, h264NalTypes.accessUnitDelimiter]),
  h265: new Set<number>([h265NalTypes.vps, h265NalTypes.sps, h265NalTypes.pps, h265NalTypes.accessUnitDelimiter]),
} as const

const lengthBytes = 4

/** An encoder's packet as MP4 stores it: NAL units with a length of four bytes, temporal units of AV1 without delimiter. It may be made in the packet's place. */
export function toSampleData(codec: Codec, data: Buffer): Buffer {
  if (codec === 'av1') return withoutTemporalDelimiter(data)
  if (codec !== 'h264' && codec !== 'h265') return data
  const nalType = codec === 'h264' ? h264NalType : h265NalType
  const units = splitAnnexB(data).filter((unit) => !leftOut[codec].has(nalType(unit[0] ?? 0)))
  return inPlace(data, units) ?? joined(units)
}

/** Most packets are one unit: its length goes over its start code. */
function inPlace(data: Buffer, units: readonly Buffer[]): Buffer | undefined {
  const [unit] = units
  const at = unit && units.length === 1 ? unit.byteOffset - data.byteOffset - lengthBytes : -1
  if (unit === undefined || at < 0) return undefined
  data.writeUInt32BE(unit.length, at)
  return data.subarray(at, at + lengthBytes + unit.length)
}

function joined(units: readonly Buffer[]): Buffer {
  const sample = Buffer.allocUnsafe(units.reduce((sum, unit) => sum + lengthBytes + unit.length, 0))
  let at = 0
  for (const unit of units) {
    at = sample.writeUInt32BE(unit.length, at)
    at += unit.copy(sample, at)
  }
  return sample
}

/**
 * The extradata without what an encoder says about itself. x265 puts its options into a message among the parameter sets, with
 * the features of the processor that it ran on: chunks of two machines would differ by nothing else.
 */
export function pureExtradata(codec: Codec, extradata: Buffer): Buffer {
  if (codec !== 'h264' && codec !== 'h265') return extradata
  const units = splitAnnexB(extradata).filter((unit) => !isUserData(codec, unit))
  return Buffer.concat(units.flatMap((unit) => [Buffer.of(0, 0, 0, 1), unit]))
}

/** Supplemental enhancement information of payload type 5, `user_data_unregistered`. */
function isUserData(codec: 'h264' | 'h265', unit: Buffer): boolean {
  if (codec === 'h264') return h264NalType(unit[0] ?? 0) === h264NalTypes.sei && unit[1] === 5
  return h265NalType(unit[0] ?? 0) === h265NalTypes.prefixSei && unit[2] === 5
}

/** A temporal delimiter (OBU type 2, without content) opens a temporal unit and has no place in a sample, AV1 in ISOBMFF §2.4. */
function withoutTemporalDelimiter(data: Buffer): Buffer {
  return data[0] === 0x12 && data[1] === 0 ? data.subarray(2) : data
}
