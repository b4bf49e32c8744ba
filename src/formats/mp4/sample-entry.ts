import type { CodecParameters, Track } from '#formats/media/track.ts'
import { AppError } from '#lib/errors.ts'
import type { BoxWriter } from './box-writer.ts'
import { codecString } from './codec-strings.ts'
import { pictureOf } from './picture.ts'
import { writeAvcConfiguration, writeHevcConfiguration } from './video-configuration.ts'

type ParametersOf<C extends CodecParameters['codec']> = Extract<CodecParameters, { codec: C }>

/** The sample entry of a track, with all that its decoder needs before the first sample (ISO/IEC 14496-12 §8.5.2). */
export function writeSampleEntry(w: BoxWriter, track: Track): void {
  const { parameters } = track
  switch (parameters.codec) {
    case 'h264':
      return writeVisualEntry(w, 'avc1', parameters, () => writeAvcConfiguration(w, parameters))
    case 'h265':
      // hvc1, not hev1: the parameter sets are only here, and Apple's players take no other.
      return writeVisualEntry(w, 'hvc1', parameters, () => writeHevcConfiguration(w, parameters))
    case 'aac':
      return writeAudioEntry(w, 'mp4a', parameters, () => writeElementaryStreamDescriptor(w, parameters.config))
    case 'opus':
      return writeAudioEntry(w, 'Opus', { ...parameters, sampleRateHz: 48_000 }, () => writeOpusConfiguration(w, parameters))
    case 'pcma':
      return writeAudioEntry(w, 'alaw', parameters, () => {})
    case 'pcmu':
      return writeAudioEntry(w, 'ulaw', parameters, () => {})
    default:
      return parameters satisfies never
  }
}

/** Whether a sample entry can be written for these parameters: they can be read and fit their 16-bit lengths. */
export function isDescribable(parameters: CodecParameters): boolean {
  if (blobsOf(parameters).some((blob) => blob.length === 0 || blob.length >= 2 ** 16)) return false
  try {
    pictureOf(parameters)
    return codecString(parameters).length > 0
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}

function blobsOf(parameters: CodecParameters): Buffer[] {
  if (parameters.codec === 'h264') return [parameters.sps, parameters.pps]
  if (parameters.codec === 'h265') return [parameters.vps, parameters.sps, parameters.pps]
  return parameters.codec === 'aac' ? [parameters.config] : []
}

/** Visual sample entry, ISO/IEC 14496-12 §12.1.3. */
function writeVisualEntry(w: BoxWriter, type: string, parameters: ParametersOf<'h264' | 'h265'>, config: () => void): void {
  const picture = pictureOf(parameters)
  w.box(type, () => {
    w.zeros(6) // reserved
    w.u16(1) // data_reference_index
    w.zeros(2 + 2 + 12) // pre_defined, reserved
    w.u16(picture.width) // width
    w.u16(picture.height) // height
    w.u32(0x0048_0000) // horizresolution, 72 dpi
    w.u32(0x0048_0000) // vertresolution
    w.u32(0) // reserved
    w.u16(1) // frame_count
    w.zeros(32) // compressorname
    w.u16(0x0018) // depth
    w.i16(-1) // pre_defined
    config()
  })
}

/** Audio sample entry, ISO/IEC 14496-12 §12.2.3. */
function writeAudioEntry(
  w: BoxWriter,
  type: string,
  { sampleRateHz, channelCount }: { sampleRateHz: number; channelCount: number },
  config: () => void,
): void {
  w.box(type, () => {
    w.zeros(6) // reserved
    w.u16(1) // data_reference_index
    w.zeros(8) // reserved
    w.u16(channelCount) // channelcount
    w.u16(16) // samplesize
    w.u16(0) // pre_defined
    w.u16(0) // reserved
    // 16.16 has no room for 88.2 and 96 kHz; the codec's own configuration has the rate.
    w.u16(sampleRateHz < 2 ** 16 ? sampleRateHz : 0).u16(0) // samplerate
    config()
  })
}

/** Elementary stream descriptor, ISO/IEC 14496-14 §6.7.2 and ISO/IEC 14496-1 §7.2.6.5. */
function writeElementaryStreamDescriptor(w: BoxWriter, config: Buffer): void {
  const specificSize = descriptorHeaderSize + config.length
  const decoderSize = descriptorHeaderSize + 13 + specificSize
  w.fullBox('esds', 0, 0, () => {
    writeDescriptor(w, 3, 3 + decoderSize + descriptorHeaderSize + 1) // ES_DescrTag
    w.u16(0) // ES_ID
    w.u8(0) // flags
    writeDescriptor(w, 4, 13 + specificSize) // DecoderConfigDescrTag
    w.u8(0x40) // objectTypeIndication: MPEG-4 audio
    w.u8(0x15) // streamType audio, upStream 0, reserved 1
    w.u24(0) // bufferSizeDB
    w.u32(0) // maxBitrate
    w.u32(0) // avgBitrate: unknown
    writeDescriptor(w, 5, config.length) // DecSpecificInfoTag
    w.raw(config) // AudioSpecificConfig
    writeDescriptor(w, 6, 1) // SLConfigDescrTag
    w.u8(2) // predefined: reserved for use in MP4 files
  })
}

const descriptorHeaderSize = 5

/** Tag and size of a descriptor, ISO/IEC 14496-1 §8.3.3: four groups of seven bits, the first three marked with a high bit. */
function writeDescriptor(w: BoxWriter, tag: number, size: number): void {
  w.u8(tag)
  for (const unit of [2 ** 21, 2 ** 14, 2 ** 7]) w.u8(0x80 + (Math.floor(size / unit) % 128))
  w.u8(size % 128)
}

/** Opus specific box, "Encapsulation of Opus in ISO Base Media File Format" §4.3.2: mono or stereo, mapping family 0. */
function writeOpusConfiguration(w: BoxWriter, { channelCount }: ParametersOf<'opus'>): void {
  w.box('dOps', () => {
    w.u8(0) // Version
    w.u8(channelCount) // OutputChannelCount
    w.u16(0) // PreSkip: a live stream is joined anywhere, nothing is to be cut
    w.u32(48_000) // InputSampleRate
    w.i16(0) // OutputGain
    w.u8(0) // ChannelMappingFamily
  })
}
