/** A partial segment, RFC 8216bis §4.4.4.9. */
export type PlaylistPart = { readonly uri: string; readonly durationSeconds: number; readonly isIndependent: boolean }

/** A media segment and its tags. */
export type PlaylistSegment = {
  readonly uri: string
  readonly durationSeconds: number
  /** `EXT-X-MAP`: named whenever it differs from the one before. Absent only where `isGap`. */
  readonly mapUri?: string
  /** Wall time of the first sample, milliseconds since the Unix epoch. */
  readonly programDateTimeMs?: number
  readonly isDiscontinuity?: boolean
  /** There is nothing at `uri`: `EXT-X-GAP`. */
  readonly isGap?: boolean
  readonly parts?: readonly PlaylistPart[]
}

/** What a low-latency playlist says beyond the segments. */
export type LowLatency = {
  /** `PART-TARGET`; must stay the same as long as the playlist lives. */
  readonly partTargetSeconds: number
  /** The segment in the making: parts without a URI of the whole. */
  readonly openSegment?: Omit<PlaylistSegment, 'uri' | 'durationSeconds'>
  /** The part that comes next. */
  readonly preloadHintUri?: string
  /** Segments left out at the start, by `EXT-X-SKIP`, because the player asked for a delta update. */
  readonly skippedSegments?: number
}

export type MediaPlaylist = {
  /** Must stay the same as long as the playlist lives. */
  readonly targetDurationSeconds: number
  /** Of the first segment in `segments`, skipped or not. */
  readonly mediaSequence: number
  readonly discontinuitySequence: number
  readonly segments: readonly PlaylistSegment[]
  readonly lowLatency?: LowLatency
  /** Each segment starts with a keyframe: `EXT-X-INDEPENDENT-SEGMENTS`. */
  readonly hasIndependentSegments?: boolean
  /** Nothing follows. */
  readonly isEnded?: boolean
}

/** `PART-HOLD-BACK` in part targets: RFC 8216bis §4.4.3.8 wants two at least and recommends three. */
const partHoldBackParts = 3
/** `CAN-SKIP-UNTIL` in target durations: the least that RFC 8216bis §4.4.3.8 allows. */
export const skipUntilTargets = 6

/** Media type of both kinds of playlist, RFC 8216bis §4. */
export const playlistContentType = 'application/vnd.apple.mpegurl'

/** A live media playlist, RFC 8216bis §4.4.3 and §4.4.4: low-latency when `lowLatency` is given, else for any player of version 7. */
export function renderMediaPlaylist(playlist: MediaPlaylist): string {
  const { lowLatency, segments } = playlist
  const skipped = lowLatency?.skippedSegments ?? 0
  const lines = ['#EXTM3U', `#EXT-X-VERSION:${lowLatency ? 10 : 7}`, `#EXT-X-TARGETDURATION:${playlist.targetDurationSeconds}`]
  if (playlist.hasIndependentSegments) lines.push('#EXT-X-INDEPENDENT-SEGMENTS')
  if (lowLatency) lines.push(...serverControl(playlist.targetDurationSeconds, lowLatency))
  lines.push(`#EXT-X-MEDIA-SEQUENCE:${playlist.mediaSequence}`)
  if (playlist.discontinuitySequence > 0) lines.push(`#EXT-X-DISCONTINUITY-SEQUENCE:${playlist.discontinuitySequence}`)
  if (skipped > 0) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`)
  let mapUri: string | undefined
  for (const segment of segments.slice(skipped)) {
    lines.push(...segmentTags(segment, mapUri), ...mediaLines(segment))
    mapUri = segment.mapUri ?? mapUri
  }
  if (lowLatency?.openSegment) lines.push(...segmentTags(lowLatency.openSegment, mapUri))
  if (playlist.isEnded) lines.push('#EXT-X-ENDLIST')
  else if (lowLatency?.preloadHintUri) lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${lowLatency.preloadHintUri}"`)
  return `${lines.join('\n')}\n`
}

/** Seconds as playlists have them: a decimal number, to the microsecond. */
export function seconds(value: number): string {
  return value.toFixed(6)
}

/** `EXT-X-PROGRAM-DATE-TIME`, RFC 8216bis §4.4.4.6. */
export function programDateTime(ms: number): string {
  return `#EXT-X-PROGRAM-DATE-TIME:${new Date(ms).toISOString()}`
}

/** RFC 8216bis §4.4.3.7 and §4.4.3.8. */
function serverControl(targetDurationSeconds: number, { partTargetSeconds }: LowLatency): string[] {
  const holdBack = seconds(partTargetSeconds * partHoldBackParts)
  const skipUntil = seconds(targetDurationSeconds * skipUntilTargets)
  return [
    `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${holdBack},CAN-SKIP-UNTIL=${skipUntil}`,
    `#EXT-X-PART-INF:PART-TARGET=${seconds(partTargetSeconds)}`,
  ]
}

/** What stands before a segment's URI, or in place of it while it is in the making. */
function segmentTags(segment: Omit<PlaylistSegment, 'uri' | 'durationSeconds'>, currentMapUri: string | undefined): string[] {
  const lines: string[] = []
  if (segment.isDiscontinuity) lines.push('#EXT-X-DISCONTINUITY')
  if (segment.mapUri !== undefined && segment.mapUri !== currentMapUri) lines.push(`#EXT-X-MAP:URI="${segment.mapUri}"`)
  if (segment.programDateTimeMs !== undefined) lines.push(programDateTime(segment.programDateTimeMs))
  for (const part of segment.parts ?? []) {
    const independent = part.isIndependent ? ',INDEPENDENT=YES' : ''
    lines.push(`#EXT-X-PART:DURATION=${seconds(part.durationSeconds)},URI="${part.uri}"${independent}`)
  }
  return lines
}

function mediaLines({ uri, durationSeconds, isGap }: PlaylistSegment): string[] {
  return [...(isGap ? ['#EXT-X-GAP'] : []), `#EXTINF:${seconds(durationSeconds)},`, uri]
}
