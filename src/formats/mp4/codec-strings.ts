import { aacCodecString } from '#formats/aac/audio-specific-config.ts'
import { h264CodecString } from '#formats/h264/sps.ts'
import { h265CodecString } from '#formats/h265/sps.ts'
import type { CodecParameters, Track } from '#formats/media/track.ts'

/** The `codecs` parameter for a set of tracks, RFC 6381 §3.3: `avc1.64001f,mp4a.40.2`. Equal entries are named once. */
export function codecsOf(tracks: readonly Track[]): string {
  return [...new Set(tracks.map((track) => codecString(track.parameters)))].join(',')
}

/** One codec by the name of its sample entry. Throws `MALFORMED` or `TRUNCATED` for parameters that cannot be read. */
export function codecString(parameters: CodecParameters): string {
  switch (parameters.codec) {
    case 'h264':
      return h264CodecString(parameters.sps)
    case 'h265':
      return h265CodecString(parameters.sps)
    case 'aac':
      return aacCodecString(parameters.config)
    case 'opus':
      return 'opus'
    case 'pcma':
      return 'alaw'
    case 'pcmu':
      return 'ulaw'
    default:
      return parameters satisfies never
  }
}
