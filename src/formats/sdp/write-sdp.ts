import type { RtpParameters, RtpTrackDescription } from '#formats/rtp/track-description.ts'

/** A media to write: how it is carried, and its `a=control`. */
type SdpMedia = { readonly description: RtpTrackDescription; readonly control: string }

/** Writes the session description of a live stream, RFC 8866, with whatever parameter sets are known. */
export function writeSdp({ name, medias }: { name: string; medias: readonly SdpMedia[] }): string {
  const lines = [
    'v=0',
    'o=- 0 0 IN IP4 127.0.0.1',
    `s=${name.replace(/[\r\n]+/g, ' ') || '-'}`,
    'c=IN IP4 0.0.0.0',
    't=0 0',
    'a=control:*',
    'a=range:npt=now-',
    ...medias.flatMap(mediaLines),
  ]
  return `${lines.join('\r\n')}\r\n`
}

function mediaLines({ description, control }: SdpMedia): string[] {
  const { kind, payloadType, clockRateHz, parameters } = description
  const fmtp = formatParameters(parameters)
  return [
    `m=${kind} 0 RTP/AVP ${payloadType}`,
    `a=rtpmap:${payloadType} ${encodingName(parameters)}/${clockRateHz}${channelSuffix(parameters)}`,
    ...(fmtp === '' ? [] : [`a=fmtp:${payloadType} ${fmtp}`]),
    `a=control:${control}`,
  ]
}

function encodingName({ codec }: RtpParameters): string {
  return codec === 'aac' ? 'MPEG4-GENERIC' : codec === 'opus' ? codec : codec.toUpperCase()
}

/** Opus always says 2, RFC 7587 §7. */
function channelSuffix(parameters: RtpParameters): string {
  switch (parameters.codec) {
    case 'h264':
    case 'h265':
      return ''
    case 'opus':
      return '/2'
    case 'aac':
      return `/${parameters.channelCount}`
    case 'pcma':
    case 'pcmu':
      return parameters.channelCount === 1 ? '' : `/${parameters.channelCount}`
    default:
      return parameters satisfies never
  }
}

function formatParameters(parameters: RtpParameters): string {
  switch (parameters.codec) {
    case 'h264': {
      const { sps, pps } = parameters
      return joined({
        'packetization-mode': '1',
        'sprop-parameter-sets': sps && pps && `${sps.toString('base64')},${pps.toString('base64')}`,
        'profile-level-id': sps && sps.length > 3 ? sps.toString('hex', 1, 4).toUpperCase() : undefined,
      })
    }
    case 'h265':
      return joined({
        'sprop-vps': parameters.vps?.toString('base64'),
        'sprop-sps': parameters.sps?.toString('base64'),
        'sprop-pps': parameters.pps?.toString('base64'),
        'sprop-max-don-diff': parameters.hasDonl ? '1' : undefined,
      })
    case 'aac': {
      const { sizeBits, indexBits, indexDeltaBits } = parameters.auHeader
      return joined({
        streamtype: '5',
        'profile-level-id': '1',
        mode: sizeBits === 6 ? 'AAC-lbr' : 'AAC-hbr',
        sizelength: String(sizeBits),
        indexlength: String(indexBits),
        indexdeltalength: String(indexDeltaBits),
        config: parameters.config.toString('hex'),
      })
    }
    case 'opus':
      return `sprop-stereo=${parameters.channelCount === 2 ? 1 : 0}`
    case 'pcma':
    case 'pcmu':
      return ''
    default:
      return parameters satisfies never
  }
}

function joined(parameters: Record<string, string | undefined>): string {
  return Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join('; ')
}
