import type { CodecParameters, Track } from '#formats/media/track.ts'
import { isVideoCodec } from '#formats/media/track.ts'

/** `mpeg4-generic` header layout from the fmtp line, RFC 3640 §4.1; AAC-hbr is 13, 3, 3 and AAC-lbr 6, 2, 2. All in bits. */
export type AuHeaderLayout = { readonly sizeBits: number; readonly indexBits: number; readonly indexDeltaBits: number }

export const aacHighBitRate: AuHeaderLayout = { sizeBits: 13, indexBits: 3, indexDeltaBits: 3 }

/** What is said about the codec before any packet came: as `CodecParameters`, but parameter sets may still be missing. */
export type RtpParameters =
  /** Bare NAL units of `sprop-parameter-sets`, where given. */
  | { readonly codec: 'h264'; readonly sps?: Buffer; readonly pps?: Buffer }
  /** Bare NAL units of `sprop-vps`, `-sps` and `-pps`, where given; `hasDonl` when `sprop-max-don-diff` is above 0, RFC 7798 §4.4. */
  | { readonly codec: 'h265'; readonly vps?: Buffer; readonly sps?: Buffer; readonly pps?: Buffer; readonly hasDonl: boolean }
  | (Extract<CodecParameters, { codec: 'aac' }> & { readonly auHeader: AuHeaderLayout })
  | Extract<CodecParameters, { codec: 'opus' | 'pcma' | 'pcmu' }>

/** One media of a session that is carried over RTP: what SDP says about it, and what the receiver needs to read its packets. */
export type RtpTrackDescription = {
  readonly kind: 'video' | 'audio'
  /** 0 to 127. */
  readonly payloadType: number
  /** Ticks per second of its RTP timestamps. */
  readonly clockRateHz: number
  readonly parameters: RtpParameters
}

/** The track with this id, or `undefined` while a parameter set is missing. */
export function toTrack(description: RtpTrackDescription, id: number): Track | undefined {
  const parameters = completeParameters(description.parameters)
  return parameters && { id, kind: description.kind, clockRateHz: description.clockRateHz, parameters }
}

/** How `RtpPacketizer` sends a track: the description that SDP for readers is written from. */
export function describeTrack(track: Track, payloadType: number): RtpTrackDescription {
  const kind = isVideoCodec(track.parameters.codec) ? 'video' : 'audio'
  return { kind, payloadType, clockRateHz: track.clockRateHz, parameters: sentParameters(track.parameters) }
}

function completeParameters(given: RtpParameters): CodecParameters | undefined {
  switch (given.codec) {
    case 'h264': {
      const { codec, sps, pps } = given
      return sps && pps && { codec, sps, pps }
    }
    case 'h265': {
      const { codec, vps, sps, pps } = given
      return vps && sps && pps && { codec, vps, sps, pps }
    }
    case 'aac': {
      const { codec, config, sampleRateHz, channelCount } = given
      return { codec, config, sampleRateHz, channelCount }
    }
    case 'opus':
    case 'pcma':
    case 'pcmu':
      return given
    default:
      return given satisfies never
  }
}

function sentParameters(parameters: CodecParameters): RtpParameters {
  switch (parameters.codec) {
    case 'h265':
      return { ...parameters, hasDonl: false }
    case 'aac':
      return { ...parameters, auHeader: aacHighBitRate }
    case 'h264':
    case 'opus':
    case 'pcma':
    case 'pcmu':
      return parameters
    default:
      return parameters satisfies never
  }
}
