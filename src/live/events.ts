/** What happens to streams and recordings, for whoever listens: the events API now, webhooks and the log later. */
export type StreamEvent =
  | { type: 'stream.online'; stream: string; source: string; tracks: string[] }
  /** Nobody publishes, and no other source stepped in within two seconds. */
  | { type: 'stream.offline'; stream: string; reason: string }
  | { type: 'stream.recovered'; stream: string; source: string; offlineMs: number }
  /** Comes without `stream.offline` before it when the other source was there at once. */
  | { type: 'stream.source-switched'; stream: string; from: string; to: string; reason: string }
  | { type: 'stream.created' | 'stream.changed' | 'stream.removed' | 'stream.started' | 'stream.stopped'; stream: string }
  | { type: 'reader.dropped'; stream: string; readerId: string; protocol: string; droppedUnits: number; droppedMs: number }
  | { type: 'recording.started'; stream: string }
  | { type: 'recording.stopped'; stream: string; reason: string }
  | { type: 'recording.paused' | 'recording.resumed'; stream: string }
  | { type: 'recording.failed'; stream: string; code: string; message: string }
  | { type: 'recording.recovered'; stream: string; failedMs: number; droppedParts: number }
  | {
      type: 'recording.segment-closed'
      stream: string
      segmentId: string
      startedAtMs: number
      durationMs: number
      sizeBytes: number
    }
  /** The archive has the whole file now. */
  | { type: 'recording.archived'; stream: string; segmentId: string; sizeBytes: number }
  /** The object store does not take files; they wait on the disk. Told once, until it takes them again. */
  | { type: 'recording.archive-failed'; stream: string; code: string; message: string }
  | { type: 'recording.archive-recovered'; stream: string; failedMs: number }
  /** Deleted from the disk; the archive has it. */
  | {
      type: 'recording.freed'
      stream: string
      segmentId: string
      reason: 'age' | 'size' | 'free-space'
      sizeBytes: number
    }
  /** Nobody has it any more. `archive-age`: it was too old for the archive. */
  | {
      type: 'recording.deleted'
      stream: string
      segmentId: string
      reason: 'age' | 'size' | 'free-space' | 'archive-age' | 'request'
      sizeBytes: number
    }

export interface EventSink {
  emit(event: StreamEvent): void
}
