import type { FileRange, InitSegment, Part } from './cmaf.ts'
import type { StoredPart, WindowSegment } from './stored-segment.ts'

/** A media file as it goes over the wire: pieces in order, buffers of the packager or stretches of recorded files. */
export type HlsFile = { readonly contentType: string; readonly sizeBytes: number; readonly body: HlsBody }

export type HlsBody =
  | { readonly kind: 'memory'; readonly chunks: readonly Buffer[] }
  /** Retention may delete the files at any time. */
  | { readonly kind: 'stored'; readonly ranges: readonly FileRange[] }

export function initFile(init: InitSegment): HlsFile {
  return mediaFile(init, init.bytes.length, { kind: 'memory', chunks: [init.bytes] })
}

export function partFile(part: Part | StoredPart): HlsFile {
  return mediaFile(part.init, part.sizeBytes, bodyOf([part]))
}

export function segmentFile({ init, parts }: WindowSegment): HlsFile {
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
  return mediaFile(init, sizeBytes, bodyOf(parts))
}

function mediaFile({ tracks }: InitSegment, sizeBytes: number, body: HlsBody): HlsFile {
  const contentType = tracks.some(({ kind }) => kind === 'video') ? 'video/mp4' : 'audio/mp4'
  return { contentType, sizeBytes, body }
}

/** The parts of a segment are all in memory, or all in files. */
function bodyOf(parts: readonly (Part | StoredPart)[]): HlsBody {
  const ranges = parts.flatMap((part) => ('range' in part ? [part.range] : []))
  if (ranges.length > 0) return { kind: 'stored', ranges: joined(ranges) }
  return { kind: 'memory', chunks: parts.flatMap((part) => ('chunks' in part ? part.chunks : [])) }
}

/** Neighbours in one file as one range. */
function joined(ranges: readonly FileRange[]): FileRange[] {
  const all: FileRange[] = []
  for (const range of ranges) {
    const last = all.at(-1)
    const isNext = last?.path === range.path && last.offset + last.sizeBytes === range.offset
    if (isNext) all[all.length - 1] = { ...last, sizeBytes: last.sizeBytes + range.sizeBytes }
    else all.push(range)
  }
  return all
}
