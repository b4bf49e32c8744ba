/**
 * What goes over `/api/v1`, both ways: one schema each for validation, OpenAPI and types. The command line and the web application use it.
 * Times are ISO 8601 in UTC with milliseconds, except fields that end in `Ms`: those are numbers, milliseconds since the Unix epoch
 * (`onlineSinceMs`) or a length (`durationMs`). A field that has no value is absent. A schema with a title is a component in OpenAPI.
 */
import { Type, type Static } from 'typebox'
import { profileOptions } from '#ops/profile-order.ts'
import { recordingPolicySchema, streamNameSchema, streamSpecSchema } from '#live/settings.ts'
import { errorTable, type ErrorCode } from '#lib/errors.ts'

export const closed = { additionalProperties: false } as const

export const timeSchema = Type.String({ format: 'date-time', description: 'ISO 8601, UTC with milliseconds in answers.' })
export const countSchema = Type.Integer({ minimum: 0 })
const epochMsSchema = Type.Number({ description: 'Milliseconds since the Unix epoch.' })

// Errors

const errorCodes = Object.keys(errorTable).filter((key): key is ErrorCode => key in errorTable)

/** The body of every answer above 399. */
export const errorBodySchema = Type.Object(
  {
    code: Type.Enum(errorCodes, { description: 'Stable; programs match on it. docs/errors.md has the list.' }),
    message: Type.String({ description: 'What happened, to what, and what to do.' }),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'Where exactly, for programs.' })),
  },
  { title: 'Error', description: 'What went wrong.' },
)
export type ErrorBody = Static<typeof errorBodySchema>

/** An entry of `details.issues` of `REQUEST_INVALID`. */
export const requestIssueSchema = Type.Object({
  path: Type.String({ description: 'Where: `body.recording.segmentSeconds`.' }),
  message: Type.String(),
})
export type RequestIssue = Static<typeof requestIssueSchema>

// Lists

export const maxPageSize = 1000
export const defaultPageSize = 100
const pageFields = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: maxPageSize, description: `Items in one answer; ${defaultPageSize} when absent.` }),
  ),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 512, description: '`nextCursor` of the answer before; absent for the first page.' }),
  ),
}
export const pageQuerySchema = Type.Object(pageFields, closed)
export type PageQuery = Static<typeof pageQuerySchema>

export const nextCursor = Type.Optional(Type.String({ description: 'Present when there is more: pass it as `cursor`.' }))

// Streams

export const streamParamsSchema = Type.Object({ name: streamNameSchema }, closed)
export const streamListQuerySchema = Type.Object(
  {
    ...pageFields,
    search: Type.Optional(Type.String({ maxLength: 128, description: 'Part of the name; case does not matter.' })),
  },
  closed,
)

const partialSpecFields = Type.Partial(
  Type.Object({ ...streamSpecSchema.properties, recording: Type.Partial(recordingPolicySchema, closed) }),
).properties

/** Some settings of a stream: the body of PATCH. What is absent stays as it is. */
export const partialStreamSpecSchema = Type.Object(partialSpecFields, { ...closed, title: 'StreamChange', minProperties: 1 })
export type PartialStreamSpec = Static<typeof partialStreamSpecSchema>

/** The body of POST /streams. What is absent has its default. */
export const streamCreateSchema = Type.Object(
  { name: streamNameSchema, ...partialSpecFields },
  { ...closed, title: 'StreamCreate' },
)
export type StreamCreate = Static<typeof streamCreateSchema>

export const sourceViewSchema = Type.Object(
  {
    index: Type.Integer({ minimum: 0, description: 'Position in `spec.sources`, 0 is the preferred one.' }),
    url: Type.String({ description: 'Credentials are hidden.' }),
    state: Type.Enum(['idle', 'waiting', 'connecting', 'active', 'standby', 'failed']),
    error: Type.Optional(
      Type.Object(
        { code: Type.String(), message: Type.String() },
        { description: 'The last failure, until the source delivers again.' },
      ),
    ),
    retryAtMs: Type.Optional(Type.Number({ description: 'When the next try starts, milliseconds since the Unix epoch.' })),
    reconnects: countSchema,
  },
  { title: 'Source' },
)

export const trackViewSchema = Type.Object(
  {
    id: Type.Integer(),
    kind: Type.Enum(['video', 'audio']),
    codec: Type.String(),
    clockRateHz: Type.Integer(),
    width: Type.Optional(Type.Integer()),
    height: Type.Optional(Type.Integer()),
    channelCount: Type.Optional(Type.Integer()),
  },
  { title: 'Track' },
)

export const streamHealthSchema = Type.Object(
  {
    bitrateKbps: Type.Number({ minimum: 0 }),
    framesPerSecond: Type.Number({ minimum: 0 }),
    keyframeIntervalMs: Type.Optional(Type.Number({ description: 'Mean distance of the last keyframes.' })),
    lastUnitAgeMs: Type.Optional(Type.Number({ description: 'Time since the last access unit.' })),
    receivedUnits: countSchema,
    receivedBytes: countSchema,
    lostPackets: Type.Integer({ minimum: 0, description: 'RTP packets missing or unusable.' }),
    timestampJumps: Type.Integer({ minimum: 0, description: 'Timestamps that jumped and were re-anchored.' }),
    outages: Type.Integer({ minimum: 0, description: 'Times the stream went from online to offline.' }),
    reconnects: countSchema,
    droppedUnits: Type.Integer({ minimum: 0, description: 'Access units dropped for slow readers, all readers together.' }),
  },
  { title: 'StreamHealth', description: 'Figures over the last seconds; counters since the stream was made.' },
)

/** `StreamStatus` of `live` as JSON, with the addresses where the stream can be watched. */
export const streamViewSchema = Type.Object(
  {
    name: streamNameSchema,
    origin: Type.Enum(['file', 'api', 'file+api', 'undeclared']),
    spec: Type.Object(streamSpecSchema.properties, { title: 'StreamSpec' }),
    overrides: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'What was set by API over the configuration file.' }),
    ),
    isEnabled: Type.Boolean({ description: 'False after `stop`, until `start`.' }),
    state: Type.Enum(['stopped', 'idle', 'connecting', 'online', 'offline']),
    onlineSinceMs: Type.Optional(epochMsSchema),
    sources: Type.Array(sourceViewSchema),
    publisher: Type.Optional(
      Type.Object({
        id: Type.String(),
        protocol: Type.String(),
        remoteAddress: Type.String(),
        userAgent: Type.Optional(Type.String()),
      }),
    ),
    tracks: Type.Array(trackViewSchema),
    health: streamHealthSchema,
    readerCount: countSchema,
    recording: Type.Object({
      state: Type.Enum(['off', 'waiting', 'recording', 'paused', 'failed']),
      error: Type.Optional(Type.String()),
    }),
    urls: Type.Object(
      { rtsp: Type.Optional(Type.String()), hls: Type.Optional(Type.String()) },
      { description: 'Where to watch it, as seen from the host that was asked; a protocol that is off is absent.' },
    ),
  },
  { title: 'Stream' },
)
export type StreamView = Static<typeof streamViewSchema>

export const streamListSchema = Type.Object({ items: Type.Array(streamViewSchema), nextCursor })
export type StreamList = Static<typeof streamListSchema>

export const readerViewSchema = Type.Object(
  {
    id: Type.String(),
    protocol: Type.String(),
    remoteAddress: Type.String(),
    userAgent: Type.Optional(Type.String()),
    sentUnits: countSchema,
    sentBytes: countSchema,
    droppedUnits: countSchema,
    queuedBytes: countSchema,
    queuedMs: Type.Number({ minimum: 0 }),
  },
  { title: 'Reader' },
)
export type ReaderView = Static<typeof readerViewSchema>

export const readerListSchema = Type.Object({ items: Type.Array(readerViewSchema), nextCursor })

export const recordingActions = ['start', 'stop', 'pause', 'resume'] as const
export type RecordingAction = (typeof recordingActions)[number]

// Recordings

const rangeFields = {
  from: Type.Optional(Type.String({ format: 'date-time', description: 'Start, ISO 8601; the oldest when absent.' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'End, ISO 8601; now when absent.' })),
}
export const timeRangeQuerySchema = Type.Object(rangeFields, closed)
export type TimeRangeQuery = Static<typeof timeRangeQuerySchema>
export const exportQuerySchema = Type.Object(
  {
    ...rangeFields,
    access: Type.Optional(Type.String({ maxLength: 100, description: 'Permission that Millrace gave with the address.' })),
  },
  closed,
)

/** A stretch without a gap. */
export const timelineRangeSchema = Type.Object(
  {
    startedAt: timeSchema,
    endedAt: timeSchema,
    sizeBytes: countSchema,
    segmentCount: countSchema,
    archivedUntil: Type.Optional({
      ...timeSchema,
      description: 'Up to here some or all of it is in the archive alone. Absent: all of it is on the disk.',
    }),
  },
  { title: 'TimelineRange' },
)
export type TimelineRange = Static<typeof timelineRangeSchema>

export const timelineSchema = Type.Object({ items: Type.Array(timelineRangeSchema) })
export type Timeline = Static<typeof timelineSchema>

export const recordingListQuerySchema = Type.Object(
  { ...pageFields, ...rangeFields, stream: Type.Optional(streamNameSchema) },
  closed,
)

export const recordingParamsSchema = Type.Object(
  { id: Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9_-]+$' }) },
  closed,
)

/** One recorded file. */
export const recordingViewSchema = Type.Object(
  {
    id: Type.String(),
    stream: streamNameSchema,
    startedAt: timeSchema,
    endedAt: Type.Optional(timeSchema),
    durationMs: Type.Number({ minimum: 0 }),
    sizeBytes: countSchema,
    state: Type.Enum(['open', 'closed'], { description: '`open` while it grows.' }),
    isOnDisk: Type.Boolean({ description: 'Else the archive alone has it; it plays from there.' }),
    archivedAt: Type.Optional({ ...timeSchema, description: 'When the archive had it. Absent: it is not in the archive.' }),
  },
  { title: 'Recording' },
)
export type RecordingView = Static<typeof recordingViewSchema>

export const recordingListSchema = Type.Object({ items: Type.Array(recordingViewSchema), nextCursor })
export type RecordingList = Static<typeof recordingListSchema>

// Events

/** One message of the WebSocket and one item of the history. */
export const eventMessageSchema = Type.Object(
  {
    sequence: Type.Integer({ minimum: 0, description: 'Grows by one an event; gaps in what you get come from your filter.' }),
    at: timeSchema,
    type: Type.String({
      description: '`stream.online`, `recording.started`, …; `history.truncated` when earlier events are lost to you.',
    }),
    subject: Type.String({ description: 'What it is about: the name of the stream, most often.' }),
    data: Type.Record(Type.String(), Type.Unknown()),
  },
  { title: 'Event' },
)
export type EventMessage = Static<typeof eventMessageSchema>

const eventFilterFields = {
  from: Type.Optional(
    Type.Integer({
      minimum: 0,
      description:
        'First sequence wanted; 0 is the oldest kept. Absent: the newest page, or over WebSocket only what happens from now.',
    }),
  ),
  type: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Only these types, separated by commas; `stream.*` is all that start with `stream.`.',
    }),
  ),
  subject: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'Only events about this.' })),
}
export const eventQuerySchema = Type.Object({ ...pageFields, ...eventFilterFields }, closed)
export type EventQuery = Static<typeof eventQuerySchema>

export const eventListSchema = Type.Object({
  items: Type.Array(eventMessageSchema),
  nextCursor,
  oldestSequence: Type.Integer({ minimum: 0, description: 'The oldest event that is kept.' }),
  nextSequence: Type.Integer({ minimum: 0, description: 'What the next event will have: follow from here.' }),
})
export type EventList = Static<typeof eventListSchema>

// Status, health, configuration

export const partViewSchema = Type.Object(
  {
    name: Type.String(),
    isReady: Type.Boolean(),
    detail: Type.Optional(Type.String({ description: 'Why not, or what it listens on.' })),
  },
  { title: 'Part' },
)
export type PartView = Static<typeof partViewSchema>

export const healthSchema = Type.Object(
  {
    status: Type.Enum(['ok', 'unready']),
    version: Type.String(),
    uptimeSeconds: Type.Number({ minimum: 0 }),
    parts: Type.Array(partViewSchema),
  },
  { title: 'Health' },
)
export type Health = Static<typeof healthSchema>

export const livenessSchema = Type.Object({ status: Type.Enum(['ok']) })
export const readinessSchema = Type.Object(
  {
    status: Type.Enum(['ok', 'unready']),
    unready: Type.Array(Type.String(), { description: 'Names of the parts that are not ready.' }),
  },
  { title: 'Readiness' },
)
export type Readiness = Static<typeof readinessSchema>

export const statusSchema = Type.Object(
  {
    version: Type.String(),
    startedAt: timeSchema,
    uptimeSeconds: Type.Number({ minimum: 0 }),
    roles: Type.Array(Type.String()),
    parts: Type.Array(partViewSchema),
    streams: Type.Object({
      total: countSchema,
      stopped: countSchema,
      idle: countSchema,
      connecting: countSchema,
      online: countSchema,
      offline: countSchema,
    }),
    totals: Type.Object({
      readers: countSchema,
      bitrateKbps: Type.Number({ minimum: 0, description: 'What all streams receive together.' }),
      receivedBytes: countSchema,
      lostPackets: countSchema,
      recordingStreams: Type.Integer({ minimum: 0, description: 'Streams that are being recorded now.' }),
      recordedBytes: Type.Optional(Type.Integer({ minimum: 0, description: 'Absent while the database does not answer.' })),
      recordedSegments: Type.Optional(countSchema),
    }),
    disk: Type.Optional(
      Type.Object(
        { path: Type.String(), totalBytes: countSchema, freeBytes: countSchema },
        { description: 'The disk that recordings go to.' },
      ),
    ),
    process: Type.Object({ pid: countSchema, runtime: Type.String(), memoryBytes: countSchema }),
  },
  { title: 'Status' },
)
export type Status = Static<typeof statusSchema>

/** One setting in force. */
export const settingViewSchema = Type.Object(
  {
    key: Type.String({ description: '`live.segmentCount`, as in the configuration file.' }),
    value: Type.Unknown({ description: 'Secrets are hidden.' }),
    origin: Type.String({ description: 'Where it was set: file and line, environment variable, flag, or `default`.' }),
  },
  { title: 'Setting' },
)
export type SettingView = Static<typeof settingViewSchema>

export const configSchema = Type.Object({ items: Type.Array(settingViewSchema) })

// Profiles

/** What can be said of each kind of profile, with its defaults. */
export const profileOptionSchemas = profileOptions
/** The same as queries: what is absent has its default. */
export const cpuProfileQuerySchema = Type.Partial(profileOptions.cpu, closed)
export const allocationProfileQuerySchema = Type.Partial(profileOptions.allocations, closed)
export const heapSnapshotQuerySchema = Type.Partial(profileOptions.heap, closed)
