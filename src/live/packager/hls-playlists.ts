import { skipUntilTargets, type MediaPlaylist, type PlaylistPart, type PlaylistSegment } from '#formats/hls/media-playlist.ts'
import type { Variant } from '#formats/hls/multivariant-playlist.ts'
import { pictureOf } from '#formats/mp4/picture.ts'
import type { SegmentInfo } from './cmaf.ts'
import { playlistFiles, type HlsNames } from './hls-names.ts'

/** A window at one moment, as its playlists describe it. */
export type WindowView = {
  readonly names: HlsNames
  /** Oldest first; the last one may still grow. */
  readonly segments: readonly SegmentInfo[]
  readonly msnOf: (segment: SegmentInfo) => number
  readonly isDiscontinuity: (segment: SegmentInfo) => boolean
  /** Missing segments listed before the first. */
  readonly gapCount: number
  readonly gapSeconds: number
  readonly discontinuitySequence: number
  readonly targetDurationSeconds: number
  readonly partTargetSeconds: number
  /** Where the next part goes. */
  readonly edge: { readonly msn: number; readonly parts: number }
  readonly isEnded: boolean
}

/** Parts are listed for segments this near to the end, in target durations: RFC 8216bis §4.4.4.9. */
const listedPartTargets = 3

/** For players that know low latency. `skip` leaves out what they have, if they may have it (delta update, RFC 8216bis §6.2.5.1). */
export function describeLowLatency(view: WindowView, { skip }: { skip: boolean }): MediaPlaylist {
  const { names, edge } = view
  const complete = view.segments.filter((segment) => segment.isComplete)
  const open = view.segments.find((segment) => !segment.isComplete)
  const partsFromMs = endMs(view) - listedPartTargets * view.targetDurationSeconds * 1000
  const segments = [
    ...gaps(view),
    ...complete.map((segment) => {
      const isListed = segment.startMs + segment.durationMs > partsFromMs
      return { ...describe(view, segment), ...(isListed ? { parts: describeParts(view, segment) } : {}) }
    }),
  ]
  return {
    ...header(view),
    mediaSequence: firstMsn(view) - view.gapCount,
    segments,
    lowLatency: {
      partTargetSeconds: view.partTargetSeconds,
      ...(open ? { openSegment: { ...tagsOf(view, open), parts: describeParts(view, open) } } : {}),
      preloadHintUri: names.part(edge.msn, edge.parts),
      skippedSegments: skip ? skippable(segments, open?.durationMs ?? 0, view.targetDurationSeconds) : 0,
    },
  }
}

/** For any player: complete segments, and none that are marked as missing: VLC and QuickTime stop at those. */
export function describePlain(view: WindowView): MediaPlaylist {
  const segments = view.segments.filter((segment) => segment.isComplete).map((segment) => describe(view, segment))
  return { ...header(view), mediaSequence: firstMsn(view), segments }
}

/** The stream as its multivariant playlist presents it. */
export function describeVariant(view: WindowView, { framesPerSecond }: { framesPerSecond: number | undefined }): Variant {
  const last = view.segments.at(-1)
  const video = last?.init.tracks.find((track) => track.kind === 'video')
  const measured = view.segments.filter((segment) => segment.durationMs > 0)
  const bits = measured.map((segment) => segment.parts.reduce((sum, part) => sum + part.sizeBytes, 0) * 8)
  const totalMs = measured.reduce((sum, segment) => sum + segment.durationMs, 0)
  return {
    uri: playlistFiles.live,
    bandwidthBps: Math.max(1, ...measured.map((segment, index) => ((bits[index] ?? 0) * 1000) / segment.durationMs)),
    averageBandwidthBps: totalMs > 0 ? (bits.reduce((sum, value) => sum + value, 0) * 1000) / totalMs : 1,
    codecs: last?.init.codecs ?? '',
    ...(video ? { resolution: pictureOf(video.parameters) } : {}),
    ...(video && framesPerSecond ? { framesPerSecond } : {}),
  }
}

function header(view: WindowView): Omit<MediaPlaylist, 'segments' | 'mediaSequence'> {
  return {
    targetDurationSeconds: view.targetDurationSeconds,
    discontinuitySequence: view.discontinuitySequence,
    hasIndependentSegments: view.segments.every((segment) => segment.parts[0]?.isIndependent ?? true),
    isEnded: view.isEnded,
  }
}

function firstMsn(view: WindowView): number {
  const [first] = view.segments
  return first ? view.msnOf(first) : view.edge.msn
}

function endMs({ segments }: WindowView): number {
  const last = segments.at(-1)
  return last ? last.startMs + last.durationMs : 0
}

function gaps({ names, segments, gapCount, gapSeconds }: WindowView): PlaylistSegment[] {
  const mapUri = names.init(segments[0]?.init.id ?? 0)
  return Array.from({ length: gapCount }, () => ({ uri: names.gap(), durationSeconds: gapSeconds, mapUri, isGap: true }))
}

function describe(view: WindowView, segment: SegmentInfo): PlaylistSegment {
  return { ...tagsOf(view, segment), uri: view.names.segment(view.msnOf(segment)), durationSeconds: segment.durationMs / 1000 }
}

function tagsOf(view: WindowView, segment: SegmentInfo): Omit<PlaylistSegment, 'uri' | 'durationSeconds'> {
  return {
    mapUri: view.names.init(segment.init.id),
    programDateTimeMs: segment.ntpMs,
    isDiscontinuity: view.isDiscontinuity(segment),
  }
}

function describeParts(view: WindowView, segment: SegmentInfo): PlaylistPart[] {
  const msn = view.msnOf(segment)
  return segment.parts.map((part) => ({
    uri: view.names.part(msn, part.index),
    durationSeconds: part.durationMs / 1000,
    isIndependent: part.isIndependent,
  }))
}

/** How many segments from the start are older than the skip boundary: those within it must be in every update. */
function skippable(segments: readonly PlaylistSegment[], openMs: number, targetDurationSeconds: number): number {
  let withinSeconds = openMs / 1000
  let index = segments.length
  while (index > 0 && withinSeconds < skipUntilTargets * targetDurationSeconds) {
    index -= 1
    withinSeconds += segments[index]?.durationSeconds ?? 0
  }
  return index
}
