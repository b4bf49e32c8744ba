import { Type, type Static } from 'typebox'
import { Check } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import {
  audioEncoderSchema,
  livePictureSchema,
  transcodeProgressSchema,
  videoEncoderSchema,
  type LiveOrder,
} from './transcoding.ts'

// What crosses the pipe between `LiveRenditionProcess` and its child.

const paramsSchema = Type.Object({
  order: Type.Object({
    sourceUrl: Type.String(),
    targetUrl: Type.String(),
    picture: livePictureSchema,
    video: videoEncoderSchema,
    audio: Type.Optional(audioEncoderSchema),
  }),
  /** A source, or its picture, that gives nothing for this long is given up. */
  stallMs: Type.Integer({ minimum: 1 }),
})

export type LiveParams = {
  readonly order: Omit<LiveOrder, 'audio'> & Partial<Pick<LiveOrder, 'audio'>>
  readonly stallMs: number
}

/** Throws `REQUEST_INVALID`: an order comes from a plan that somebody made. */
export function parseLiveParams(params: unknown): Static<typeof paramsSchema> {
  if (Check(paramsSchema, params)) return params
  throw new AppError('REQUEST_INVALID', 'the order of a live rendition does not follow its schema')
}

const eventSchema = Type.Union([
  Type.Object({ kind: Type.Literal('progress'), progress: transcodeProgressSchema }),
  /** It had begun, and is over; codes as in `errors.ts`. */
  Type.Object({ kind: Type.Literal('ended'), code: Type.String(), message: Type.String() }),
])
export type LiveEvent = Static<typeof eventSchema>

/** Throws `MALFORMED`. */
export function parseLiveEvent(value: unknown): LiveEvent {
  if (Check(eventSchema, value)) return value
  throw new AppError('MALFORMED', 'a live rendition sent an event of no known kind')
}
