import { renderVodPlaylist, type VodEntry } from '#formats/hls/vod-playlist.ts'
import { AppError } from '#lib/errors.ts'
import type { RecordingSegment } from '../recorder/recording-index.ts'
import type { KeyframeIndex } from './keyframe-index.ts'
import type { PlaybackRange } from './recorded-range.ts'

export type IndexedSegment = { readonly segment: RecordingSegment; readonly index: KeyframeIndex }

/** Parts are put together to entries of about this length, from keyframe to keyframe. */
const entryMs = 6000
/** Two days of entries. A player has to read all of it before the first picture. */
const maxEntries = 30_000
/** Decode times of neighbouring files that differ by more are two timelines. */
const continuityToleranceMs = 100

/**
 * A complete HLS playlist (RFC 8216 §4.3.3.5) of recorded files, by byte ranges. It begins with the entry that has `fromMs` in it.
 * Where times or codecs do not go on there is a discontinuity. Throws `RECORDING_NOT_FOUND` when nothing is there, `LIMIT_EXCEEDED`.
 */
export async function recordedPlaylist(
  files: AsyncIterable<IndexedSegment>,
  range: PlaybackRange,
  mediaUrl: (id: string) => string,
): Promise<string> {
  const entries: VodEntry[] = []
  let before: IndexedSegment | undefined
  for await (const file of files) {
    let isFirst = true
    for (const place of placesOf(file, range)) {
      if (entries.length === maxEntries) {
        throw new AppError(
          'LIMIT_EXCEEDED',
          `more than ${maxEntries} playlist entries of "${range.stream}"; ask for a shorter range`,
        )
      }
      const isDiscontinuity = isFirst && before !== undefined && !continues(before, file)
      entries.push(toEntry(file, place, { uri: mediaUrl(file.segment.id), isDiscontinuity }))
      isFirst = false
    }
    if (!isFirst) before = file
  }
  if (entries.length === 0)
    throw new AppError('RECORDING_NOT_FOUND', `nothing of "${range.stream}" is recorded in this range; see its timeline`)
  return renderVodPlaylist({ entries })
}

type Place = { readonly offset: number; readonly endOffset: number; readonly startMs: number; readonly endMs: number }

/** The entries of a file that overlap the range. Their borders depend on the file only, so that caches can share them. */
function* placesOf({ segment, index }: IndexedSegment, { fromMs = -Infinity, toMs = Infinity }: PlaybackRange): Generator<Place> {
  const firstMs = index.places[0]?.startMs ?? 0
  for (const place of grouped(index)) {
    const startedAtMs = segment.startedAtMs + place.startMs - firstMs
    if (startedAtMs >= toMs) return
    if (startedAtMs + place.endMs - place.startMs > fromMs) yield place
  }
}

function* grouped({ places, endOffset, endMs }: KeyframeIndex): Generator<Place> {
  let group = places[0]
  for (const place of places) {
    if (!group || place.startMs - group.startMs < entryMs) continue
    yield { ...group, endOffset: place.offset, endMs: place.startMs }
    group = place
  }
  if (group) yield { ...group, endOffset, endMs }
}

function toEntry(
  { segment, index }: IndexedSegment,
  { offset, endOffset, startMs, endMs }: Place,
  { uri, isDiscontinuity }: { uri: string; isDiscontinuity: boolean },
): VodEntry {
  return {
    uri,
    initByteRange: { offset: 0, length: index.head.initBytes.length },
    byteRange: { offset, length: endOffset - offset },
    durationSeconds: (endMs - startMs) / 1000,
    programDateTimeMs: segment.startedAtMs + startMs - (index.places[0]?.startMs ?? 0),
    isDiscontinuity,
  }
}

/** Whether a player can go on from one file to the next as if they were one. */
function continues(before: IndexedSegment, next: IndexedSegment): boolean {
  if (next.segment.isDiscontinuity || before.segment.sessionId !== next.segment.sessionId) return false
  if (!before.index.head.initBytes.equals(next.index.head.initBytes)) return false
  return Math.abs((next.index.places[0]?.startMs ?? 0) - before.index.endMs) <= continuityToleranceMs
}
