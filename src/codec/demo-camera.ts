import { Type, type Static } from 'typebox'
import { Check } from 'typebox/value'
import { AppError } from '#lib/errors.ts'

const demoCameraSchema = Type.Object({
  /** Name of the stream that it publishes. */
  name: Type.String({ minLength: 1 }),
  picture: Type.Union([Type.Literal('card'), Type.Literal('ocean'), Type.Literal('aurora'), Type.Literal('colony')]),
  audio: Type.Optional(Type.Union([Type.Literal('aac'), Type.Literal('opus')])),
})

/** A camera that does not exist: its stream's name, what it looks at, and how its melody is encoded, if it has one. */
export type DemoCamera = Readonly<Static<typeof demoCameraSchema>>
export type DemoPicture = DemoCamera['picture']

const publishParamsSchema = Type.Object({ rtspUrl: Type.String(), cameras: Type.Array(demoCameraSchema) })
export type PublishParams = Static<typeof publishParamsSchema>

const demoEventSchema = Type.Union([
  Type.Object({ kind: Type.Literal('online'), camera: Type.String() }),
  Type.Object({ kind: Type.Literal('offline'), camera: Type.String(), reason: Type.String(), retryInMs: Type.Number() }),
])
/** What the demo cameras' process tells by itself. */
export type DemoEvent = Static<typeof demoEventSchema>

/** Throws `MALFORMED`. */
export function parsePublishParams(params: unknown): PublishParams {
  if (Check(publishParamsSchema, params)) return params
  throw new AppError('MALFORMED', 'the demo cameras were started with parameters that do not fit')
}

/** Throws `MALFORMED`. */
export function parseDemoEvent(value: unknown): DemoEvent {
  if (Check(demoEventSchema, value)) return value
  throw new AppError('MALFORMED', 'the demo cameras sent an event of no known kind')
}
