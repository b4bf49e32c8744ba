import { BitReader } from '#bytes/bit-reader.ts'
import { AppError } from '#lib/errors.ts'

/** Sampling frequencies by index, ISO/IEC 14496-3 Table 1.18. */
export const aacSampleRatesHz = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
]

/** Channels by `channelConfiguration`, Table 1.19; 0 is said elsewhere, and what is missing is reserved. */
const channelCounts: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8 }

/** Audio object types, Table 1.17. */
export const aacObjectTypes = { main: 1, lowComplexity: 2, ssr: 3, longTermPrediction: 4, sbr: 5, ps: 29, escape: 31 } as const

const explicitRateIndex = 15
/** `syncExtensionType`s of backward compatible signalling, §1.6.5. */
const syncExtensions = { sbr: 0x2b7, ps: 0x548 } as const

/** AudioSpecificConfig, ISO/IEC 14496-3 §1.6.2.1, of the AAC family. */
export type AudioSpecificConfig = {
  /** Of the core coder: 2 is AAC-LC, also for HE-AAC. */
  readonly objectType: number
  /** Of the core coder, as in `samplingFrequency`. */
  readonly sampleRateHz: number
  readonly channelCount: number
  /** Samples of the core coder per frame and channel: 1024 or 960. */
  readonly frameSamples: number
  /** Spectral band replication (HE-AAC) and the rate it doubles to, where it is signalled. */
  readonly sbr?: { readonly sampleRateHz: number; readonly hasParametricStereo: boolean; readonly isBackwardCompatible: boolean }
}

/** Parses the bytes of fmtp `config=`, `esds` or an RTMP sequence header. Throws `MALFORMED`, `TRUNCATED`, `UNSUPPORTED`. */
export function parseAudioSpecificConfig(bytes: Uint8Array): AudioSpecificConfig {
  const r = new BitReader(bytes)
  const first = readObjectType(r)
  const firstRateHz = readSampleRate(r)
  const channelConfiguration = r.bits(4) // channelConfiguration
  if (first !== aacObjectTypes.sbr && first !== aacObjectTypes.ps) {
    const core = { objectType: first, sampleRateHz: firstRateHz, ...readGeneralAudio(r, first, channelConfiguration) }
    return channelConfiguration === 0 ? core : withSyncExtension(r, core)
  }
  const sbrRateHz = readSampleRate(r) // extensionSamplingFrequency
  const objectType = readObjectType(r)
  const core = readGeneralAudio(r, objectType, channelConfiguration)
  const sbr = { sampleRateHz: sbrRateHz, hasParametricStereo: first === aacObjectTypes.ps, isBackwardCompatible: false }
  return { objectType, sampleRateHz: firstRateHz, ...core, sbr }
}

/** The bytes of a configuration: what `parseAudioSpecificConfig` reads. Throws `UNSUPPORTED` for a channel count without a number. */
export function writeAudioSpecificConfig({
  objectType,
  sampleRateHz,
  channelCount,
  frameSamples,
  sbr,
}: AudioSpecificConfig): Buffer {
  const isHierarchical = sbr !== undefined && !sbr.isBackwardCompatible
  const outer = sbr?.hasParametricStereo ? aacObjectTypes.ps : aacObjectTypes.sbr
  const fields = [
    bits(isHierarchical ? outer : objectType, 5), // audioObjectType
    sampleRateBits(sampleRateHz), // samplingFrequencyIndex, samplingFrequency
    bits(channelConfigurationOf(channelCount), 4), // channelConfiguration
    isHierarchical ? sampleRateBits(sbr.sampleRateHz) + bits(objectType, 5) : '', // extensionSamplingFrequencyIndex, audioObjectType
    bits(frameSamples === 960 ? 0b100 : 0, 3), // frameLengthFlag, dependsOnCoreCoder, extensionFlag
  ]
  if (sbr?.isBackwardCompatible) {
    fields.push(bits(syncExtensions.sbr, 11), bits(aacObjectTypes.sbr, 5), '1', sampleRateBits(sbr.sampleRateHz)) // sbrPresentFlag
    if (sbr.hasParametricStereo) fields.push(bits(syncExtensions.ps, 11), '1') // psPresentFlag
  }
  const octets = fields.join('').match(/.{1,8}/g) ?? []
  return Buffer.from(octets.map((octet) => Number.parseInt(octet.padEnd(8, '0'), 2)))
}

/** The RFC 6381 name: `mp4a.40.2`. Throws as `parseAudioSpecificConfig`. */
export function aacCodecString(config: Uint8Array): string {
  return `mp4a.40.${readObjectType(new BitReader(config))}`
}

function sampleRateBits(sampleRateHz: number): string {
  const index = aacSampleRatesHz.indexOf(sampleRateHz)
  return index === -1 ? bits(explicitRateIndex, 4) + bits(sampleRateHz, 24) : bits(index, 4)
}

function channelConfigurationOf(channelCount: number): number {
  const found = Object.entries(channelCounts).find(([, count]) => count === channelCount)
  if (!found) throw new AppError('UNSUPPORTED', `AAC with ${channelCount} channels has no channel configuration`)
  return Number(found[0])
}

function bits(value: number, count: number): string {
  return value.toString(2).padStart(count, '0')
}

function readObjectType(r: BitReader): number {
  const type = r.bits(5) // audioObjectType
  return type === aacObjectTypes.escape ? 32 + r.bits(6) : type // audioObjectTypeExt
}

function readSampleRate(r: BitReader): number {
  const index = r.bits(4) // samplingFrequencyIndex
  const rateHz = index === explicitRateIndex ? r.bits(24) : aacSampleRatesHz[index] // samplingFrequency
  if (!rateHz)
    throw new AppError('MALFORMED', `AAC configuration with the reserved sampling frequency index ${index}, or a rate of 0`)
  return rateHz
}

/** GASpecificConfig, §4.4.1. */
function readGeneralAudio(
  r: BitReader,
  objectType: number,
  channelConfiguration: number,
): Pick<AudioSpecificConfig, 'channelCount' | 'frameSamples'> {
  if (objectType < aacObjectTypes.main || objectType > aacObjectTypes.longTermPrediction) {
    throw new AppError('UNSUPPORTED', `AAC object type ${objectType}; the types 1 to 4 and HE-AAC on top of them are known`)
  }
  const frameSamples = r.flag() ? 960 : 1024 // frameLengthFlag
  if (r.flag()) r.skip(14) // dependsOnCoreCoder: coreCoderDelay
  r.skip(1) // extensionFlag
  const channelCount = channelConfiguration === 0 ? readProgramChannels(r) : channelCounts[channelConfiguration]
  if (!channelCount)
    throw new AppError('MALFORMED', `AAC configuration with the reserved channel configuration ${channelConfiguration}`)
  return { channelCount, frameSamples }
}

/** program_config_element, §4.4.1.1: the number of its channels. The reader stops somewhere inside. */
function readProgramChannels(r: BitReader): number {
  r.skip(10) // element_instance_tag, object_type, sampling_frequency_index
  // num_front_, num_side_, num_back_channel_elements
  const channelElements = r.bits(4) + r.bits(4) + r.bits(4)
  const lowFrequencyChannels = r.bits(2) // num_lfe_channel_elements
  r.skip(7) // num_assoc_data_elements, num_valid_cc_elements
  if (r.flag()) r.skip(4) // mono_mixdown_element_number
  if (r.flag()) r.skip(4) // stereo_mixdown_element_number
  if (r.flag()) r.skip(3) // matrix_mixdown_idx, pseudo_surround_enable
  let channels = lowFrequencyChannels
  for (let i = 0; i < channelElements; i++) {
    channels += r.flag() ? 2 : 1 // element_is_cpe
    r.skip(4) // element_tag_select
  }
  return channels
}

function withSyncExtension(r: BitReader, core: AudioSpecificConfig): AudioSpecificConfig {
  if (r.bitsRemaining < 16 || r.bits(11) !== syncExtensions.sbr) return core // syncExtensionType
  if (readObjectType(r) !== aacObjectTypes.sbr || !r.flag()) return core // extensionAudioObjectType, sbrPresentFlag
  const sampleRateHz = readSampleRate(r) // extensionSamplingFrequency
  const hasParametricStereo = r.bitsRemaining >= 12 && r.bits(11) === syncExtensions.ps && r.flag() // psPresentFlag
  return { ...core, sbr: { sampleRateHz, hasParametricStereo, isBackwardCompatible: true } }
}
