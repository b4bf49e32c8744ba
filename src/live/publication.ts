import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'

/**
 * What a publisher or pulled source holds while it feeds a stream. Track ids and timestamps are the source's own: the stream maps them to
 * its own tracks and to its one monotonic timeline, and re-anchors jumps. All calls are synchronous and never throw for bad media.
 */
export interface Publication {
  /** The tracks, with parameters known. Once, before the first `write`. */
  start(tracks: readonly Track[]): void
  write(unit: AccessUnit): void
  /** Packets that were lost or could not be used, for the stream's health. */
  countLoss(packets: number): void
  /** The source is gone. Idempotent. Readers stay. */
  close(reason: string): void
  /** Fires when the stream takes the publication away (stopped, removed, replaced): the connection should end. */
  readonly signal: AbortSignal
}
