import { BitReader } from '#bytes/bit-reader.ts'
import { AppError } from '#lib/errors.ts'
import { aacSampleRatesHz } from './audio-specific-config.ts'

const minHeaderBytes = 7

/** Header of one ADTS frame, ISO/IEC 14496-3 §1.A.2.2.1. */
export type AdtsHeader = {
  /** 7, or 9 with a checksum. */
  readonly headerBytes: number
  /** Header and payload together. */
  readonly frameBytes: number
  readonly objectType: number
  readonly sampleRateHz: number
  /** 0 when a program config element in the payload tells. */
  readonly channelConfiguration: number
}

/** Whether a frame could start at `at`: the sync word is there and layer is 0. */
export function hasAdtsSync(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xff && ((bytes[at + 1] ?? 0) & 0xf6) === 0xf0
}

/** Parses the header at `at`. Throws `MALFORMED` or `TRUNCATED`; `frameBytes` may reach past the end of `bytes`. */
export function parseAdtsHeader(bytes: Buffer, at = 0): AdtsHeader {
  if (!hasAdtsSync(bytes, at)) throw new AppError('MALFORMED', 'no ADTS sync word')
  const r = new BitReader(bytes.subarray(at, at + minHeaderBytes))
  r.skip(15) // syncword, ID, layer
  const headerBytes = r.flag() ? minHeaderBytes : minHeaderBytes + 2 // protection_absent
  const objectType = r.bits(2) + 1 // profile_ObjectType
  const sampleRateHz = aacSampleRatesHz[r.bits(4)] // sampling_frequency_index
  r.skip(1) // private_bit
  const channelConfiguration = r.bits(3) // channel_configuration
  r.skip(4) // original_copy, home, copyright_identification_bit, copyright_identification_start
  const frameBytes = r.bits(13) // aac_frame_length
  r.skip(11) // adts_buffer_fullness
  if (r.bits(2) !== 0) throw new AppError('UNSUPPORTED', 'ADTS frame with several raw data blocks') // number_of_raw_data_blocks_in_frame
  if (!sampleRateHz) throw new AppError('MALFORMED', 'ADTS frame with a reserved sampling frequency')
  if (frameBytes < headerBytes) throw new AppError('MALFORMED', `ADTS frame of ${frameBytes} bytes, shorter than its header`)
  return { headerBytes, frameBytes, objectType, sampleRateHz, channelConfiguration }
}
