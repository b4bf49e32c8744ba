import type { ByteSource } from '#formats/mp4/read-boxes.ts'
import { readStretch } from '../playback/media-stretch.ts'
import { openFileSource } from '../recorder/file-source.ts'

/** A stretch of a recorded file. */
export type SegmentRange = { readonly offset: number; readonly sizeBytes: number }

/** A recorded file, wherever it is. `read` is for small pieces, such as headers. Held with `await using`. */
export interface SegmentSource extends ByteSource, AsyncDisposable {
  /** The bytes of ranges that are in the order of their offsets, in pieces; only as far as they are taken. Throws `TRUNCATED`. */
  media(ranges: Iterable<SegmentRange>): AsyncIterable<Buffer>
}

/** Opens a file on the disk. Throws `RECORDING_NOT_FOUND` when it is gone, `DISK_FAILED`. */
export async function openDiskSource(path: string): Promise<SegmentSource> {
  const file = await openFileSource(path)
  return {
    ...file,
    async *media(ranges) {
      for (const { offset, sizeBytes } of ranges) yield* readStretch(file, offset, offset + sizeBytes)
    },
  }
}

/** What is fetched with one request, and held in memory by each reader. */
const maxSpanBytes = 2 * 2 ** 20
/** Between two ranges less than this is fetched too: a request takes longer. The header of a fragment has about 500 bytes. */
const maxGapBytes = 65_536

/** A stretch that is fetched with one request, and what of it is wanted. */
export type Span = SegmentRange & { readonly parts: readonly SegmentRange[] }

/** Puts ranges together, and cuts large ones, so that requests are neither many nor large. */
export function* spansOf(ranges: Iterable<SegmentRange>): Generator<Span> {
  let parts: SegmentRange[] = []
  let start = 0
  let end = 0
  for (const range of cut(ranges)) {
    const isNear = range.offset >= end && range.offset - end <= maxGapBytes
    if (parts.length > 0 && (!isNear || range.offset + range.sizeBytes - start > maxSpanBytes)) {
      yield { offset: start, sizeBytes: end - start, parts }
      parts = []
    }
    if (parts.length === 0) start = range.offset
    end = range.offset + range.sizeBytes
    parts.push(range)
  }
  if (parts.length > 0) yield { offset: start, sizeBytes: end - start, parts }
}

function* cut(ranges: Iterable<SegmentRange>): Generator<SegmentRange> {
  for (const { offset, sizeBytes } of ranges) {
    for (let at = 0; at < sizeBytes; at += maxSpanBytes) {
      yield { offset: offset + at, sizeBytes: Math.min(maxSpanBytes, sizeBytes - at) }
    }
  }
}
