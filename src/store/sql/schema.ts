import type { Kysely } from 'kysely'
import type { AuthSchema } from './schema-auth.ts'
import type { EventLogSchema } from './schema-event-log.ts'
import type { JobsSchema } from './schema-jobs.ts'

/** Tables as the newest migration leaves them. Times are milliseconds since the epoch; numbers are exact up to 2^53 on both databases. */
export type Schema = AuthSchema &
  EventLogSchema &
  JobsSchema & {
    streams: StreamsTable
    recording_segments: RecordingSegmentsTable
  }

export type Dialect = 'sqlite' | 'postgres'

/** A database in use: queries go to `db`; `dialect` is for the few places where one text cannot serve both. */
export interface Database extends AsyncDisposable {
  readonly db: Kysely<Schema>
  readonly dialect: Dialect
}

/** What the API said of a stream: one made by it, or changes to one of the configuration file. */
export type StreamsTable = {
  name: string
  /** JSON: the fields that were set, all others come from file and defaults. */
  spec: string
  /** 1: may run, 0: stopped by hand, null: nothing was said. */
  is_enabled: number | null
  /** `on`, `off`, `paused`; null: as the recording policy says. */
  recording: string | null
  /** 1: the API made the stream; 0: the row only changes a stream of the configuration file. */
  is_declared: number
  created_at_ms: number
  updated_at_ms: number
}

/** One recorded file. */
export type RecordingSegmentsTable = {
  id: string
  stream: string
  /** Segments of one session follow each other without a gap. */
  session_id: string
  /** Relative to the recordings directory. */
  path: string
  started_at_ms: number
  /** Null while the file is written. */
  ended_at_ms: number | null
  duration_ms: number
  size_bytes: number
  /** Bytes of `ftyp` and `moov`, before the first fragment. */
  init_size_bytes: number
  /** 1: frames are missing before it, or the source changed. */
  is_discontinuity: number
  state: 'open' | 'closed'
  /** 1: the file is in the recordings directory; 0: it was freed, and the archive has it. */
  is_on_disk: number
  /** When the whole file was in the object store; null: it is not. */
  archived_at_ms: number | null
}
