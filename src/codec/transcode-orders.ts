import { Type, type Static } from 'typebox'
import { Check } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import {
  audioEncoderSchema,
  frameRangeSchema,
  pictureSchema,
  rollsSchema,
  timelineSchema,
  transcodeProgressSchema,
  videoEncoderSchema,
  type AudioOrder,
  type VideoOrder,
} from './transcoding.ts'

// What crosses the pipe between `TranscodeProcess` and its child.

const count = Type.Integer({ minimum: 0 })

const videoOrderSchema = Type.Object({
  sourceUrl: Type.String(),
  watermarkUrl: Type.Optional(Type.String()),
  timeline: timelineSchema,
  range: frameRangeSchema,
  rolls: rollsSchema,
  picture: pictureSchema,
  video: videoEncoderSchema,
  outputPath: Type.String({ minLength: 1 }),
})

const audioOrderSchema = Type.Object({
  sourceUrl: Type.String(),
  track: count,
  startMs: Type.Number(),
  durationMs: Type.Number({ exclusiveMinimum: 0 }),
  audio: audioEncoderSchema,
  outputPath: Type.String({ minLength: 1 }),
})

/** A source that gives nothing for this long is given up. */
const stallMs = Type.Integer({ minimum: 1 })
const paramsSchemas = {
  probe: Type.Object({ url: Type.String(), stallMs }),
  encodeVideo: Type.Object({ order: videoOrderSchema, stallMs }),
  encodeAudio: Type.Object({ order: audioOrderSchema, stallMs }),
  tryEncoders: Type.Object({ names: Type.Array(Type.String()) }),
} as const

/** What each request of the process carries. */
export type TranscodeParams = {
  readonly probe: { readonly url: string; readonly stallMs: number }
  readonly encodeVideo: { readonly order: VideoOrder; readonly stallMs: number }
  readonly encodeAudio: { readonly order: AudioOrder; readonly stallMs: number }
  readonly tryEncoders: { readonly names: readonly string[] }
}
export type TranscodeMethod = keyof TranscodeParams

/** Throws `REQUEST_INVALID`: an order comes from a plan that somebody made. */
export function parseParams<Method extends TranscodeMethod>(
  method: Method,
  params: unknown,
): Static<(typeof paramsSchemas)[Method]> {
  const schema = paramsSchemas[method]
  if (Check(schema, params)) return params
  throw new AppError('REQUEST_INVALID', `an order "${method}" does not follow its schema`)
}

const eventSchema = Type.Object({
  /** Packets and frames that moved since the order began: while it grows, the process is at work. */
  moves: count,
  progress: Type.Optional(transcodeProgressSchema),
})
/** How far the order under way is; sent twice a second while something moves. */
export type TranscodeEvent = Static<typeof eventSchema>

/** Throws `MALFORMED`. */
export function parseTranscodeEvent(value: unknown): TranscodeEvent {
  if (Check(eventSchema, value)) return value
  throw new AppError('MALFORMED', 'a transcode process sent an event of no known kind')
}
