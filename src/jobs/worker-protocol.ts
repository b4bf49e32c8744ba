/**
 * What a worker and the API say to each other, below `/api/v1/worker`. The worker always asks; nothing reaches into it.
 *
 *   POST /nodes                          register            ─► epoch, times
 *   POST /nodes/:id/heartbeat            every few seconds   ─► what to stop, whether to drain
 *   POST /nodes/:id/claim                long poll           ─► tasks
 *   POST /nodes/:id/tasks/:task/files    sizes of files      ─► where to put them, part by part
 *   POST /nodes/:id/tasks/:task/source   –                   ─► a fresh URL of an input
 *   POST /nodes/:id/tasks/:task/complete the outcome         ─► whether it counted
 *   POST /nodes/:id/tasks/:task/fail     why not             ─► whether it was taken
 *   POST /nodes/:id/logs                 lines of tasks
 *   POST /nodes/:id/release              stopping: gives all back
 */
import { Type, type Static } from 'typebox'
import {
  audioEncoderSchema,
  audioFactsSchema,
  chunkFactsSchema,
  frameRangeSchema,
  livePictureSchema,
  packageFactsSchema,
  packageTrackSchema,
  pictureSchema,
  rollsSchema,
  sourceProbeSchema,
  timelineSchema,
  videoEncoderSchema,
} from '#codec/transcoding.ts'
import { nodeStates } from './model.ts'

const closed = { additionalProperties: false } as const
const count = Type.Integer({ minimum: 0 })

export const registerSchema = Type.Object(
  {
    id: Type.String({ pattern: '^[a-zA-Z0-9._-]{1,100}$', description: 'Stays the same when the worker starts again.' }),
    name: Type.String({ minLength: 1, maxLength: 200 }),
    version: Type.String({ maxLength: 50 }),
    slots: Type.Integer({ minimum: 1, maximum: 1000 }),
    liveReserve: Type.Integer({ minimum: 0, maximum: 1000 }),
    capabilities: Type.Array(Type.String({ maxLength: 80 }), { maxItems: 200 }),
  },
  closed,
)
export type Register = Static<typeof registerSchema>
export const registeredSchema = Type.Object({ epoch: count, leaseMs: count, heartbeatMs: count }, closed)
export type Registered = Static<typeof registeredSchema>

const leaseFields = { taskId: count, fence: count }
export const leaseSchema = Type.Object(leaseFields, closed)

export const heartbeatSchema = Type.Object(
  {
    epoch: count,
    load: Type.Object({ cpuPercent: Type.Number(), memoryBytes: count, freeDiskBytes: count }, closed),
    held: Type.Array(Type.Object({ ...leaseFields, frames: count, speed: Type.Number({ minimum: 0 }) }, closed), {
      maxItems: 1000,
    }),
  },
  closed,
)
export type HeartbeatMessage = Static<typeof heartbeatSchema>
export const heartbeatAnswerSchema = Type.Object(
  { isKnown: Type.Boolean(), state: Type.Enum([...nodeStates]), stop: Type.Array(leaseSchema) },
  closed,
)
export type HeartbeatReply = Static<typeof heartbeatAnswerSchema>

/** Answers with at least one task, or with none after `waitMs`. */
export const claimSchema = Type.Object(
  { epoch: count, max: Type.Integer({ minimum: 1, maximum: 64 }), waitMs: Type.Integer({ minimum: 0, maximum: 55_000 }) },
  closed,
)

/** A file that a task reads: a signed URL, valid for a while; `source` gives a fresh one under the same `name`. */
export const inputFileSchema = Type.Object(
  {
    name: Type.String(),
    url: Type.String(),
    sizeBytes: Type.Optional(count),
    /** The task that made it: to be named when the file is not what it should be. */
    taskId: Type.Optional(count),
  },
  closed,
)
export type InputFile = Static<typeof inputFileSchema>

/** What is to be done. Names of inputs stand for files in `inputs`. */
export const taskSpecSchema = Type.Union([
  Type.Object({ kind: Type.Literal('probe'), source: Type.String() }, closed),
  Type.Object(
    {
      kind: Type.Literal('video'),
      source: Type.String(),
      watermark: Type.Optional(Type.String()),
      timeline: timelineSchema,
      range: frameRangeSchema,
      rolls: rollsSchema,
      picture: pictureSchema,
      video: videoEncoderSchema,
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('audio'),
      source: Type.String(),
      track: count,
      startMs: Type.Number(),
      durationMs: Type.Number(),
      audio: audioEncoderSchema,
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('pictures'),
      source: Type.String(),
      timeline: timelineSchema,
      picture: pictureSchema,
      posterAtMs: Type.Number(),
      tiles: Type.Optional(Type.Object({ everyMs: count, width: count, columns: count, rows: count }, closed)),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('package'),
      format: Type.Enum(['cmaf', 'mp4']),
      timeline: timelineSchema,
      segmentMs: count,
      tracks: Type.Array(
        Type.Object(
          {
            track: packageTrackSchema,
            inputs: Type.Array(Type.Object({ name: Type.String(), sha256: Type.String(), frameCount: count }, closed)),
          },
          closed,
        ),
      ),
      /** Pictures that are published with the rest, under their own names. */
      pictures: Type.Array(Type.String()),
      vmaf: Type.Optional(Type.Object({ source: Type.String(), seconds: Type.Number(), picture: pictureSchema }, closed)),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('live'),
      sourceUrl: Type.String(),
      targetUrl: Type.String(),
      picture: livePictureSchema,
      video: videoEncoderSchema,
      audio: Type.Optional(audioEncoderSchema),
    },
    closed,
  ),
])
export type TaskSpec = Static<typeof taskSpecSchema>

export const workerTaskSchema = Type.Object(
  {
    ...leaseFields,
    jobId: Type.String(),
    rendition: Type.String(),
    chunk: count,
    attempt: count,
    cost: count,
    totalFrames: count,
    spec: taskSpecSchema,
    inputs: Type.Array(inputFileSchema),
    /** Of W3C Trace Context: the trace of the job, which the attempt is part of. */
    traceparent: Type.Optional(Type.String()),
  },
  closed,
)
export type WorkerTask = Static<typeof workerTaskSchema>
export const claimAnswerSchema = Type.Object({ isKnown: Type.Boolean(), tasks: Type.Array(workerTaskSchema) }, closed)
export type ClaimReply = Static<typeof claimAnswerSchema>

/** Where a file goes: part n, from 0, holds bytes n × `partBytes` and on. A part may be put again. Each PUT answers with an ETag that `complete` repeats. */
export const uploadRequestSchema = Type.Object(
  {
    epoch: count,
    fence: count,
    files: Type.Array(
      Type.Object(
        { name: Type.String({ pattern: '^[a-zA-Z0-9._-]{1,120}$' }), sizeBytes: count, contentType: Type.String() },
        closed,
      ),
      {
        minItems: 1,
        maxItems: 200,
      },
    ),
  },
  closed,
)
export const uploadSchema = Type.Object(
  { name: Type.String(), uploadId: Type.String(), partBytes: count, partUrls: Type.Array(Type.String()) },
  closed,
)
export type Upload = Static<typeof uploadSchema>
export const uploadAnswerSchema = Type.Object({ uploads: Type.Array(uploadSchema) }, closed)

export const sourceRequestSchema = Type.Object({ epoch: count, fence: count, name: Type.String() }, closed)

/** What a task leaves, by kind. `files` were put before. */
export const taskOutputSchema = Type.Union([
  Type.Object({ kind: Type.Literal('probe'), probe: sourceProbeSchema }, closed),
  Type.Object({ kind: Type.Literal('video'), facts: chunkFactsSchema }, closed),
  Type.Object({ kind: Type.Literal('audio'), facts: audioFactsSchema }, closed),
  Type.Object({ kind: Type.Literal('pictures') }, closed),
  Type.Object({ kind: Type.Literal('package'), facts: packageFactsSchema }, closed),
  Type.Object({ kind: Type.Literal('live') }, closed),
])
export type TaskOutput = Static<typeof taskOutputSchema>

export const finishedUploadSchema = Type.Object(
  { name: Type.String(), uploadId: Type.String(), etags: Type.Array(Type.String()), sizeBytes: count },
  closed,
)
export type FinishedUpload = Static<typeof finishedUploadSchema>
export const completeSchema = Type.Object(
  { epoch: count, fence: count, output: taskOutputSchema, uploads: Type.Array(finishedUploadSchema, { maxItems: 200 }) },
  closed,
)
export type CompleteMessage = Static<typeof completeSchema>
export const completeAnswerSchema = Type.Object({ verdict: Type.Enum(['done', 'repeated', 'fenced']) }, closed)

export const failSchema = Type.Object(
  {
    epoch: count,
    fence: count,
    code: Type.String({ maxLength: 60 }),
    message: Type.String({ maxLength: 4000 }),
    /** Inputs that are missing or damaged, by the task that made them. */
    badInputs: Type.Optional(Type.Array(count, { maxItems: 1000 })),
  },
  closed,
)
export type FailMessage = Static<typeof failSchema>

export const logLineSchema = Type.Object(
  {
    taskId: count,
    atMs: Type.Number(),
    level: Type.Enum(['debug', 'info', 'warn', 'error']),
    text: Type.String({ maxLength: 2000 }),
  },
  closed,
)
export type TaskLogLine = Static<typeof logLineSchema>
export const logsSchema = Type.Object({ epoch: count, lines: Type.Array(logLineSchema, { maxItems: 500 }) }, closed)
export const releaseSchema = Type.Object({ epoch: count, held: Type.Array(leaseSchema, { maxItems: 1000 }) }, closed)
