import { programDateTime, seconds } from './media-playlist.ts'

/** A stretch of a file. */
export type ByteRange = { readonly offset: number; readonly length: number }

/** A stretch of recorded media: bytes of a file that also has its initialization segment. */
export type VodEntry = {
  readonly uri: string
  readonly initByteRange: ByteRange
  readonly byteRange: ByteRange
  readonly durationSeconds: number
  /** Wall time of the first sample, milliseconds since the Unix epoch. */
  readonly programDateTimeMs: number
  /** Does not continue the entry before: a gap, or another initialization segment. */
  readonly isDiscontinuity: boolean
}

/** A complete playlist over recorded files: `EXT-X-BYTERANGE`, RFC 8216bis §4.4.4.2, and a discontinuity wherever time jumps. */
export function renderVodPlaylist({ entries }: { entries: readonly VodEntry[] }): string {
  // RFC 8216bis §4.4.3.1: no segment, rounded, may be longer.
  const targetSeconds = entries.reduce((longest, entry) => Math.max(longest, Math.round(entry.durationSeconds)), 1)
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    `#EXT-X-TARGETDURATION:${targetSeconds}`,
    '#EXT-X-MEDIA-SEQUENCE:0',
    '#EXT-X-PLAYLIST-TYPE:VOD',
  ]
  let currentMap: string | undefined
  for (const entry of entries) {
    const map = `#EXT-X-MAP:URI="${entry.uri}",BYTERANGE="${range(entry.initByteRange)}"`
    if (entry.isDiscontinuity) lines.push('#EXT-X-DISCONTINUITY')
    if (map !== currentMap) lines.push(map)
    currentMap = map
    lines.push(programDateTime(entry.programDateTimeMs), `#EXTINF:${seconds(entry.durationSeconds)},`)
    lines.push(`#EXT-X-BYTERANGE:${range(entry.byteRange)}`, entry.uri)
  }
  lines.push('#EXT-X-ENDLIST')
  return `${lines.join('\n')}\n`
}

function range({ offset, length }: ByteRange): string {
  return `${length}@${offset}`
}
