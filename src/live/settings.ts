import { Type, type Static } from 'typebox'

/** How a stream is kept. Every field has a default; the configuration file and the API share this schema. */
export const recordingPolicySchema = Type.Object(
  {
    enabled: Type.Boolean({ default: false, description: 'Record this stream whenever it is online.' }),
    segmentSeconds: Type.Integer({
      default: 300,
      minimum: 2,
      maximum: 86_400,
      description: 'A new file starts at the first keyframe after this many seconds.',
    }),
    retentionHours: Type.Number({
      default: 24 * 7,
      minimum: 0,
      description: 'Recordings older than this many hours are deleted from the disk; 0 keeps them.',
    }),
    retentionMegabytes: Type.Number({
      default: 0,
      minimum: 0,
      description: 'Oldest recordings of the stream are deleted from the disk above this size in MB (10^6 bytes); 0 is no limit.',
    }),
    archive: Type.Boolean({
      default: false,
      description:
        'Copy each closed file to the object store. It is deleted from the disk only after that, and stays listed and playable from there.',
    }),
    archiveRetentionHours: Type.Number({
      default: 0,
      minimum: 0,
      description: 'Recordings older than this many hours are deleted from the archive; 0 keeps them.',
    }),
  },
  { additionalProperties: false },
)
export type RecordingPolicy = Static<typeof recordingPolicySchema>

/** What somebody wants a stream to be: the same in the configuration file, the API and the database. */
export const streamSpecSchema = Type.Object(
  {
    sources: Type.Array(Type.String({ minLength: 1 }), {
      default: ['publish'],
      maxItems: 8,
      description:
        'Where the picture comes from, best first: "publish" waits for a publisher, "rtsp://…" is pulled. A later one takes over while all before it are away.',
    }),
    onDemand: Type.Boolean({
      default: false,
      description: 'Connect to the source when the first reader comes and leave after the last.',
    }),
    onDemandCloseSeconds: Type.Number({
      default: 10,
      minimum: 0,
      maximum: 3600,
      description: 'How long an on-demand source stays after its last reader.',
    }),
    rtspTransport: Type.Union([Type.Literal('auto'), Type.Literal('tcp'), Type.Literal('udp')], {
      default: 'auto',
      description: 'How RTSP sources are pulled: "auto" uses TCP and falls back to UDP when the source refuses it.',
    }),
    hls: Type.Union([Type.Literal('always'), Type.Literal('on-demand'), Type.Literal('off')], {
      default: 'on-demand',
      description: 'Package for HLS as long as the stream is online, or only while somebody watches.',
    }),
    recording: recordingPolicySchema,
  },
  { additionalProperties: false },
)
export type StreamSpec = Static<typeof streamSpecSchema>

/** A stream name is one or more path elements: `lobby`, `site-2/gate`. Nothing that could leave a directory. */
export const streamNamePattern = '^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,7}$'
export const streamNameSchema = Type.String({
  pattern: streamNamePattern,
  maxLength: 128,
  description: 'Letters, digits, `.`, `_`, `-`; `/` between elements.',
})

/** The `[live]` section. */
export const liveSettingsSchema = Type.Object(
  {
    allowUndeclared: Type.Boolean({
      default: true,
      description: 'A publisher may create a stream that nobody declared; it disappears with its publisher and last reader.',
    }),
    maxStreams: Type.Integer({ default: 1000, minimum: 1, description: 'Streams at once, declared or not.' }),
    maxReadersPerStream: Type.Integer({ default: 1000, minimum: 1, description: 'Readers of one stream at once.' }),
    readerQueueMegabytes: Type.Number({
      default: 8,
      minimum: 0.1,
      description: 'A reader that has more than this unsent is cut to the next keyframe.',
    }),
    readerQueueSeconds: Type.Number({
      default: 5,
      minimum: 0.5,
      description: 'A reader that is behind by more than this is cut to the next keyframe.',
    }),
    sourceSilenceSeconds: Type.Number({
      default: 8,
      minimum: 1,
      description: 'A source that sends no media for this long is reconnected.',
    }),
    retryFirstSeconds: Type.Number({
      default: 1,
      minimum: 0.05,
      description: 'First wait before a failed source is tried again; doubles up to retryMaxSeconds, with jitter.',
    }),
    retryMaxSeconds: Type.Number({ default: 30, minimum: 0.05, description: 'Longest wait between two tries of a source.' }),
    onlineTimeoutSeconds: Type.Number({
      default: 10,
      minimum: 0.1,
      description: 'How long a reader waits for an on-demand stream to come online.',
    }),
    partMilliseconds: Type.Integer({
      default: 200,
      minimum: 50,
      maximum: 2000,
      description: 'Target duration of a CMAF part (EXT-X-PART-INF); constant for the life of a stream.',
    }),
    segmentSeconds: Type.Number({
      default: 1,
      minimum: 0.5,
      maximum: 30,
      description: 'Shortest HLS segment; it ends at the first keyframe after that.',
    }),
    segmentCount: Type.Integer({
      default: 4,
      minimum: 3,
      maximum: 1000,
      description: 'HLS segments in a live playlist; more are kept when these are shorter than three target durations.',
    }),
  },
  { additionalProperties: false },
)
export type LiveSettings = Static<typeof liveSettingsSchema>

/** The `[recordings]` section: what holds for all streams together. */
export const recordingsSettingsSchema = Type.Object(
  {
    directory: Type.Optional(
      Type.String({ description: 'Where recordings are kept; default is `recordings` in the data directory.' }),
    ),
    minFreeMegabytes: Type.Number({
      default: 2000,
      minimum: 0,
      description: 'Free space that recording leaves on the disk: below it the oldest recordings of any stream are deleted.',
    }),
    maxMegabytes: Type.Number({
      default: 0,
      minimum: 0,
      description: 'Most that all recordings together may take; 0 is no limit.',
    }),
    flushMilliseconds: Type.Integer({
      default: 1000,
      minimum: 50,
      description: 'Parts are gathered this long before they are written: what a crash may cost.',
    }),
    directWrites: Type.Boolean({
      default: true,
      description:
        'Write past the page cache of the system (O_DIRECT), for half the processor time. Turn it off when one spinning disk takes many streams: the system gathers their writes better.',
    }),
    sync: Type.Union([Type.Literal('none'), Type.Literal('segment'), Type.Literal('flush')], {
      default: 'segment',
      description: 'When data is forced to the disk (fdatasync): never, at the end of each file, or at each flush.',
    }),
  },
  { additionalProperties: false },
)
export type RecordingsSettings = Static<typeof recordingsSettingsSchema>
