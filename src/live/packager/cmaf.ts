import type { Track } from '#formats/media/track.ts'

/** `ftyp` + `moov` for a set of tracks. A new one starts when a track appears, disappears or changes its parameters. */
export type InitSegment = {
  /** Counts from 1 within one packager. */
  readonly id: number
  readonly bytes: Buffer
  readonly tracks: readonly Track[]
  /** RFC 6381, as `CODECS` in a playlist: `avc1.64001f,mp4a.40.2`. */
  readonly codecs: string
}

/** Bytes in a file. */
export type FileRange = { readonly path: string; readonly offset: number; readonly sizeBytes: number }

/** What playlists say of a part. */
export type PartInfo = {
  readonly segmentSequence: number
  /** Position within its segment, from 0. */
  readonly index: number
  readonly init: InitSegment
  /** Starts with a keyframe of the leading track. */
  readonly isIndependent: boolean
  /** Decode time of the first sample of the leading track on the stream's timeline. */
  readonly startMs: number
  readonly durationMs: number
  /** Wall time of the first sample of the leading track, milliseconds since the Unix epoch. */
  readonly ntpMs: number
  readonly sizeBytes: number
}

/** One CMAF chunk: `moof` + `mdat` with samples of all tracks. Shared by HLS, recorder and playback; never changed. */
export type Part = PartInfo & {
  /** The chunk as it stands on disk and on the wire: its head, then the samples' own memory. Nothing is copied. */
  readonly chunks: readonly Buffer[]
  /** Where the same bytes also are: the recorder says so once it has written them, and others may then let go of the chunks. */
  readonly stored: { range?: FileRange }
}

/** What playlists say of a segment. It starts with a keyframe and ends before another. `parts` grows while it is the last one. */
export type SegmentInfo = {
  readonly sequence: number
  readonly init: InitSegment
  /** True when it does not continue the one before: new parameters, another source, a gap. */
  readonly isDiscontinuity: boolean
  readonly ntpMs: number
  readonly startMs: number
  readonly parts: readonly PartInfo[]
  /** Sum of its parts. */
  readonly durationMs: number
  readonly isComplete: boolean
}

/** A segment with its bytes. */
export type Segment = Omit<SegmentInfo, 'parts'> & { readonly parts: readonly Part[] }

/** What the packager tells its consumers, synchronously and in order: segment start, its parts, segment end. */
export interface PackagerListener {
  segmentStarted(segment: Segment): void
  partAdded(part: Part, segment: Segment): void
  segmentEnded(segment: Segment): void
  /** The stream ended or the packager was closed; what was pending has been flushed. */
  ended(): void
}
