import { seconds } from './media-playlist.ts'
import type { ByteRange } from './vod-playlist.ts'

/** A segment of a file that holds one whole track. */
export type FileSegment = ByteRange & { readonly durationSeconds: number }

export type FilePlaylist = {
  readonly uri: string
  /** Where the file's header is. */
  readonly initByteRange: ByteRange
  /** No segment, rounded, is longer: RFC 8216 §4.3.3.1. */
  readonly targetDurationSeconds: number
  readonly segments: readonly FileSegment[]
  /** Each segment is one keyframe, for fast winding: `EXT-X-I-FRAMES-ONLY`. */
  readonly isIframesOnly?: boolean
}

/**
 * The complete playlist of a file whose segments are stretches of it, RFC 8216 §4.3.2.2 and §4.3.3.6. Version 7, as CMAF wants
 * it.
 */
export function renderFilePlaylist(playlist: FilePlaylist): string {
  const { uri, initByteRange, targetDurationSeconds, segments } = playlist
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    `#EXT-X-TARGETDURATION:${targetDurationSeconds}`,
    '#EXT-X-MEDIA-SEQUENCE:0',
    '#EXT-X-PLAYLIST-TYPE:VOD',
    '#EXT-X-INDEPENDENT-SEGMENTS',
  ]
  if (playlist.isIframesOnly) lines.push('#EXT-X-I-FRAMES-ONLY')
  lines.push(`#EXT-X-MAP:URI="${uri}",BYTERANGE="${range(initByteRange)}"`)
  for (const segment of segments) {
    lines.push(`#EXTINF:${seconds(segment.durationSeconds)},`, `#EXT-X-BYTERANGE:${range(segment)}`, uri)
  }
  lines.push('#EXT-X-ENDLIST')
  return `${lines.join('\n')}\n`
}

/** The `EXT-X-TARGETDURATION` for segments of these lengths. */
export function targetDurationOf(durationsSeconds: readonly number[]): number {
  return durationsSeconds.reduce((longest, durationSeconds) => Math.max(longest, Math.round(durationSeconds)), 1)
}

function range({ offset, length }: ByteRange): string {
  return `${length}@${offset}`
}
