import type { StreamSpec } from './settings.ts'

/** Where a stream was declared. `file+api`: declared in the file, and some fields changed by API; `undeclared`: made by its publisher. */
export type StreamOrigin = 'file' | 'api' | 'file+api' | 'undeclared'

/**
 * `stopped` by wish · `idle`: on demand and nobody reads · `connecting`: no source delivers yet, or another one may step in · `online` · `offline`: was online, all sources are away.
 */
export type StreamState = 'stopped' | 'idle' | 'connecting' | 'online' | 'offline'

export type SourceStatus = {
  /** Position in `spec.sources`, 0 is the preferred one. */
  index: number
  /** Credentials are hidden. */
  url: string
  state: 'idle' | 'waiting' | 'connecting' | 'active' | 'standby' | 'failed'
  /** The last failure: code and message, until the source delivers again. */
  error?: { code: string; message: string }
  /** When the next try starts, milliseconds since the epoch. */
  retryAtMs?: number
  reconnects: number
}

export type TrackStatus = {
  id: number
  kind: 'video' | 'audio'
  codec: string
  clockRateHz: number
  width?: number
  height?: number
  channelCount?: number
}

/** Figures over the last seconds; counters since the stream was made. */
export type StreamHealth = {
  bitrateKbps: number
  framesPerSecond: number
  /** Mean distance of the last keyframes; absent before the second one. */
  keyframeIntervalMs?: number
  /** Time since the last access unit; absent before the first. */
  lastUnitAgeMs?: number
  receivedUnits: number
  receivedBytes: number
  /** RTP packets missing or unusable. */
  lostPackets: number
  /** Timestamps that jumped and were re-anchored. */
  timestampJumps: number
  /** Times the stream went from online to offline. */
  outages: number
  reconnects: number
  /** Access units dropped for slow readers, all readers together. */
  droppedUnits: number
}

export type RecordingState = 'off' | 'waiting' | 'recording' | 'paused' | 'failed'

export type StreamStatus = {
  name: string
  origin: StreamOrigin
  /** The effective merge of defaults, file and API. */
  spec: StreamSpec
  /** What was set by API over the file, when anything was. */
  overrides?: Record<string, unknown>
  isEnabled: boolean
  state: StreamState
  onlineSinceMs?: number
  sources: SourceStatus[]
  publisher?: { id: string; protocol: string; remoteAddress: string; userAgent?: string }
  tracks: TrackStatus[]
  health: StreamHealth
  readerCount: number
  recording: { state: RecordingState; error?: string }
}

export type ReaderStatus = {
  id: string
  protocol: string
  remoteAddress: string
  userAgent?: string
  sentUnits: number
  sentBytes: number
  droppedUnits: number
  queuedBytes: number
  queuedMs: number
}
