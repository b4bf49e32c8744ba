import { Type, type Static } from 'typebox'
import { Check } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import {
  packageFactsSchema,
  packageTrackSchema,
  pictureSchema,
  timelineSchema,
  type PackageFacts,
  type PackageOrder,
  type PicturesOrder,
} from './transcoding.ts'

const count = Type.Integer({ minimum: 0 })

const inputSchema = Type.Object({ url: Type.String(), sha256: Type.String(), frameCount: count })

const packageOrderSchema = Type.Object({
  format: Type.Enum(['cmaf', 'mp4']),
  timeline: timelineSchema,
  segmentMs: Type.Integer({ minimum: 100 }),
  tracks: Type.Array(Type.Object({ track: packageTrackSchema, inputs: Type.Array(inputSchema) })),
  vmaf: Type.Optional(Type.Object({ sourceUrl: Type.String(), seconds: Type.Number(), picture: pictureSchema })),
  outputDirectory: Type.String(),
})

export type PackedOrder = Static<typeof packageOrderSchema>

const picturesOrderSchema = Type.Object({
  sourceUrl: Type.String(),
  timeline: timelineSchema,
  picture: pictureSchema,
  posterAtMs: Type.Number({ minimum: 0 }),
  tiles: Type.Optional(
    Type.Object({
      everyMs: Type.Number({ exclusiveMinimum: 0 }),
      width: Type.Integer({ minimum: 16, maximum: 1920 }),
      columns: Type.Integer({ minimum: 1, maximum: 100 }),
      rows: Type.Integer({ minimum: 1, maximum: 100 }),
    }),
  ),
  outputDirectory: Type.String(),
})

/** An order as it goes over the pipe. Throws `MALFORMED` for one that does not follow its schema. */
export function packOrder({ tracks, ...order }: PackageOrder): Buffer {
  const packed: PackedOrder = { ...order, tracks: tracks.map(({ inputs, ...track }) => ({ track, inputs: [...inputs] })) }
  if (!Check(packageOrderSchema, packed)) throw new AppError('MALFORMED', 'an order to package that does not follow its schema')
  return Buffer.from(JSON.stringify(packed))
}

/** Throws `MALFORMED`. */
export function checkPicturesOrder(params: PicturesOrder): PicturesOrder {
  if (Check(picturesOrderSchema, params)) return params
  throw new AppError('MALFORMED', 'an order for pictures that does not follow its schema')
}

/** Pictures that were made: names in the output directory. */
export const picturesFactsSchema = Type.Object({
  files: Type.Array(Type.Object({ name: Type.String(), sizeBytes: count, contentType: Type.String() })),
})
export type PicturesFacts = Static<typeof picturesFactsSchema>

/** How packaging ended. Failures that name inputs come as a value, for errors lose their details on the pipe. */
const packageOutcomeSchema = Type.Union([
  Type.Object({ kind: Type.Literal('packaged'), facts: packageFactsSchema }),
  Type.Object({
    kind: Type.Literal('bad-inputs'),
    isDamaged: Type.Boolean(),
    message: Type.String(),
    inputs: Type.Array(Type.Object({ track: Type.String(), input: count })),
  }),
])
export type PackageOutcome = Static<typeof packageOutcomeSchema>

/** The facts, or throws what the process found; `MALFORMED` for an answer that is none. */
export function packageFactsOf(value: unknown): PackageFacts {
  if (!Check(packageOutcomeSchema, value))
    throw new AppError('MALFORMED', 'a codec process answered what does not follow its schema')
  if (value.kind === 'packaged') return value.facts
  const { isDamaged, message, inputs } = value
  throw new AppError(isDamaged ? 'INPUT_DAMAGED' : 'ENCODE_DAMAGED', message, { details: { inputs } })
}
