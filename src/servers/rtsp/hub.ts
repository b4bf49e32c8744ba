import type { Track } from '#formats/media/track.ts'
import type { Peer } from '#live/peer.ts'
import type { Publication } from '#live/publication.ts'
import type { ReaderHandle, ReaderSink } from '#live/reader.ts'

/** A stream as the server needs it. */
export interface LiveStream {
  readonly name: string
  readonly tracks: readonly Track[]
  /** Replays the last group of pictures at once. Throws `STREAM_LIMIT`. */
  addReader(options: { peer: Peer; sink: ReaderSink }): ReaderHandle
}

/** Where streams are published to and read from. */
export interface StreamHub {
  /** Throws `STREAM_NOT_FOUND`, `STREAM_BUSY`, `STREAM_STOPPED`, `STREAM_NOT_PUBLISHABLE`, `STREAM_LIMIT`. */
  publish(name: string, options: { peer: Peer }): Publication
  /** Waits until the tracks are known. Throws `STREAM_NOT_FOUND`, `STREAM_OFFLINE`, `STREAM_STOPPED`. */
  openForReading(name: string, options: { signal?: AbortSignal }): Promise<LiveStream>
}

export type StreamAction = 'publish' | 'read'

/** Who may do what. */
export interface Access {
  /** Whether nobody may do this without showing credentials. */
  isRequired(action: StreamAction, stream: string): boolean
  /** In clear: digest authentication needs it so. */
  findPassword(user: string): string | undefined
  /** `user` is undefined for whoever shows no credentials. */
  isAllowed(user: string | undefined, action: StreamAction, stream: string): boolean
}
