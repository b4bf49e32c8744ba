import { aacObjectTypes, aacSampleRatesHz, parseAudioSpecificConfig } from '#formats/aac/audio-specific-config.ts'
import { splitAnnexB } from '#formats/h264/annex-b.ts'
import { h264NalType, h264NalTypes } from '#formats/h264/nal-unit.ts'
import { h265NalType, h265NalTypes } from '#formats/h265/nal-unit.ts'
import {
  aacHighBitRate,
  type AuHeaderLayout,
  type RtpParameters,
  type RtpTrackDescription,
} from '#formats/rtp/track-description.ts'
import { AppError } from '#lib/errors.ts'
import type { MediaDescription, PayloadFormat, SessionDescription } from './session-description.ts'

/** One media of a session description: what Millrace can carry of it, or why it cannot. */
export type SdpTrack = {
  /** For people: `video H264`. */
  readonly name: string
  readonly control: string | undefined
} & (
  | { readonly kind: 'usable'; readonly description: RtpTrackDescription }
  | { readonly kind: 'unusable'; readonly reason: string }
)

/** Every media in order; the directions (`a=sendonly`) are not looked at, cameras get them wrong. */
export function describeSdpTracks(session: SessionDescription): SdpTrack[] {
  return session.medias.map(describeMedia)
}

function describeMedia(media: MediaDescription): SdpTrack {
  const { control } = media
  const first = media.formats[0]
  const name = `${media.kind} ${first?.encoding.toUpperCase() || (first?.payloadType ?? media.protocol)}`
  if (media.kind !== 'video' && media.kind !== 'audio') return { kind: 'unusable', name, control, reason: `it is ${media.kind}` }
  if (!/^RTP\/AVPF?(?:\/(?:TCP|UDP))?$/i.test(media.protocol)) {
    return { kind: 'unusable', name, control, reason: `its protocol is ${media.protocol}` }
  }
  let reason = 'its codec is not carried'
  for (const format of media.formats) {
    try {
      const description = describeFormat(media.kind, format)
      if (description)
        return { kind: 'usable', name: `${media.kind} ${description.parameters.codec.toUpperCase()}`, control, description }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      reason = error.message
    }
  }
  return { kind: 'unusable', name, control, reason }
}

/** `undefined` when the encoding is none that Millrace carries; throws when it is one and its parameters are broken. */
function describeFormat(kind: 'video' | 'audio', format: PayloadFormat): RtpTrackDescription | undefined {
  const { payloadType, clockRateHz } = format
  switch (encodingOf(format)) {
    case 'h264':
      return { kind, payloadType, clockRateHz: clockRateHz ?? 90_000, parameters: h264Parameters(format) }
    case 'h265':
    case 'hevc':
      return { kind, payloadType, clockRateHz: clockRateHz ?? 90_000, parameters: h265Parameters(format) }
    case 'mpeg4-generic': {
      const parameters = aacParameters(format)
      return { kind, payloadType, clockRateHz: clockRateHz ?? parameters.sampleRateHz, parameters }
    }
    case 'opus':
      // The clock is 48 kHz whatever is written, RFC 7587 §4.1. Stereo unless mono is said: a decoder makes stereo of both.
      return {
        kind,
        payloadType,
        clockRateHz: 48_000,
        parameters: { codec: 'opus', channelCount: format.parameters.get('sprop-stereo') === '0' ? 1 : 2 },
      }
    case 'pcma':
      return { kind, payloadType, ...g711('pcma', format) }
    case 'pcmu':
      return { kind, payloadType, ...g711('pcmu', format) }
    default:
      return undefined
  }
}

/** The encoding, or what a static payload type stands for, RFC 3551 §6. */
function encodingOf({ encoding, payloadType }: PayloadFormat): string {
  if (encoding !== '') return encoding
  return payloadType === 0 ? 'pcmu' : payloadType === 8 ? 'pcma' : ''
}

function g711(codec: 'pcma' | 'pcmu', { clockRateHz = 8000, channelCount }: PayloadFormat) {
  return { clockRateHz, parameters: { codec, sampleRateHz: clockRateHz, channelCount } }
}

/** RFC 6184 §8.1. */
function h264Parameters({ parameters }: PayloadFormat): RtpParameters {
  const units = parameterSets(parameters.get('sprop-parameter-sets'))
  const sps = units.find((unit) => h264NalType(unit.readUInt8(0)) === h264NalTypes.sps)
  const pps = units.find((unit) => h264NalType(unit.readUInt8(0)) === h264NalTypes.pps)
  return { codec: 'h264', ...(sps ? { sps } : {}), ...(pps ? { pps } : {}) }
}

/** RFC 7798 §7.1. Cameras put sets under each other's names, so their own types count. */
function h265Parameters({ parameters }: PayloadFormat): RtpParameters {
  const units = ['sprop-vps', 'sprop-sps', 'sprop-pps'].flatMap((name) => parameterSets(parameters.get(name)))
  const [vps, sps, pps] = [h265NalTypes.vps, h265NalTypes.sps, h265NalTypes.pps].map((type) =>
    units.find((unit) => h265NalType(unit.readUInt8(0)) === type),
  )
  const hasDonl = Number(parameters.get('sprop-max-don-diff') ?? 0) > 0
  return { codec: 'h265', ...(vps ? { vps } : {}), ...(sps ? { sps } : {}), ...(pps ? { pps } : {}), hasDonl }
}

/** Base64 units between commas; some cameras put start codes in front, or several units into one. */
function parameterSets(text = ''): Buffer[] {
  return text.split(',').flatMap((part) => splitAnnexB(Buffer.from(part, 'base64')))
}

/** RFC 3640 §4.1. Without `config` it is AAC-LC with the rate and channels of the `rtpmap`. */
function aacParameters({ parameters, clockRateHz, channelCount }: PayloadFormat): Extract<RtpParameters, { codec: 'aac' }> {
  const hex = parameters.get('config') ?? ''
  if (!/^(?:[0-9a-f]{2})*$/i.test(hex))
    throw new AppError('MALFORMED', `the AAC config "${hex.slice(0, 32)}" is no hexadecimal text`)
  const config = hex === '' ? lowComplexityConfig(clockRateHz, channelCount) : Buffer.from(hex, 'hex')
  const { sampleRateHz, channelCount: channels } = parseAudioSpecificConfig(config)
  return { codec: 'aac', config, sampleRateHz, channelCount: channels, auHeader: auHeaderLayout(parameters) }
}

/** AudioSpecificConfig, ISO/IEC 14496-3 §1.6.2.1, of plain AAC-LC. */
function lowComplexityConfig(sampleRateHz: number | undefined, channelCount: number): Buffer {
  const rateIndex = aacSampleRatesHz.indexOf(sampleRateHz ?? 0)
  if (rateIndex < 0 || channelCount > 7) {
    throw new AppError(
      'MALFORMED',
      `AAC without a config, and ${sampleRateHz ?? 'no'} Hz with ${channelCount} channels is none to guess one from`,
    )
  }
  const config = Buffer.alloc(2)
  config.writeUInt16BE(aacObjectTypes.lowComplexity * 2048 + rateIndex * 128 + channelCount * 8)
  return config
}

function auHeaderLayout(parameters: ReadonlyMap<string, string>): AuHeaderLayout {
  const isLowBitRate = parameters.get('mode')?.toLowerCase() === 'aac-lbr'
  const preset = isLowBitRate ? { sizeBits: 6, indexBits: 2, indexDeltaBits: 2 } : aacHighBitRate
  return {
    sizeBits: bitsOf(parameters.get('sizelength'), preset.sizeBits),
    indexBits: bitsOf(parameters.get('indexlength'), preset.indexBits),
    indexDeltaBits: bitsOf(parameters.get('indexdeltalength'), preset.indexDeltaBits),
  }
}

function bitsOf(text: string | undefined, preset: number): number {
  if (text === undefined) return preset
  if (!/^\d{1,2}$/.test(text) || Number(text) > 32)
    throw new AppError('MALFORMED', `"${text.slice(0, 20)}" is no number of bits up to 32`)
  return Number(text)
}
