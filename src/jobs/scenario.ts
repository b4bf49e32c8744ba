/** A scenario: a named way to encode, as data. Presets are in `scenarios/`; users add theirs by API or file. */
import { Type, type Static } from 'typebox'
import { audioEncoderSchema, cropSchema, rateSchema, videoCodecs } from '#codec/transcoding.ts'

const closed = { additionalProperties: false } as const

export const scenarioNameSchema = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
  description: 'Lower-case letters, digits and "-".',
})

/** One height of the picture. The width follows from the source; nothing is scaled up unless `allowUpscale`. */
export const renditionSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,30}$' }),
    height: Type.Integer({ minimum: 16, maximum: 8640, multipleOf: 2 }),
    codec: Type.Enum([...videoCodecs]),
    /** Absent: the software encoder of the codec. `auto`: hardware where a worker has it. */
    encoder: Type.Optional(Type.String({ pattern: '^[a-z0-9_-]{1,40}$' })),
    rate: rateSchema,
    preset: Type.Optional(Type.String({ pattern: '^[a-z0-9-]{1,20}$' })),
    bitDepth: Type.Optional(Type.Enum([8, 10])),
    /** At most; absent: the source's own. */
    maxFrameRate: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 240 })),
    allowUpscale: Type.Boolean({ default: false }),
  },
  { ...closed, title: 'Rendition' },
)
export type Rendition = Static<typeof renditionSchema>

export const scenarioSchema = Type.Object(
  {
    name: scenarioNameSchema,
    description: Type.String({ default: '', maxLength: 300 }),
    kind: Type.Enum(['vod', 'live'], { default: 'vod', description: '`live`: a stream in, a stream out, without end.' }),
    format: Type.Enum(['cmaf', 'mp4'], { default: 'cmaf', description: '`cmaf`: HLS and DASH; `mp4`: one file.' }),
    renditions: Type.Array(renditionSchema, { maxItems: 16, description: 'None: only sound.' }),
    audio: Type.Optional(audioEncoderSchema),
    /** Length of chunks that are encoded on different workers; 0: one piece. */
    chunkSeconds: Type.Number({ default: 60, minimum: 0, maximum: 600 }),
    gopSeconds: Type.Number({ default: 2, minimum: 0.2, maximum: 10 }),
    segmentSeconds: Type.Number({ default: 6, minimum: 1, maximum: 20 }),
    deinterlace: Type.Enum(['auto', 'always', 'never'], { default: 'auto' }),
    hdr: Type.Enum(['keep', 'drop'], { default: 'keep', description: '`drop`: the picture is mapped to SDR.' }),
    pictures: Type.Boolean({ default: true, description: 'Poster, thumbnails and storyboard.' }),
    verifyVmafSeconds: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 600 })),
  },
  { ...closed, title: 'Scenario' },
)
export type Scenario = Static<typeof scenarioSchema>

/** Where the pictures come from. A `recording` is a stretch of a stream, ISO 8601. */
export const jobSourceSchema = Type.Union(
  [
    Type.Object({ object: Type.String({ minLength: 1, maxLength: 1024, description: 'Key in the object store.' }) }, closed),
    Type.Object({ url: Type.String({ pattern: '^https?://', maxLength: 4096 }) }, closed),
    Type.Object(
      {
        recording: Type.Object(
          {
            stream: Type.String({ minLength: 1 }),
            from: Type.String({ format: 'date-time' }),
            to: Type.String({ format: 'date-time' }),
          },
          closed,
        ),
      },
      closed,
    ),
    Type.Object({ stream: Type.String({ minLength: 1, description: 'A stream of this server, for live scenarios.' }) }, closed),
  ],
  { title: 'JobSource' },
)
export type JobSource = Static<typeof jobSourceSchema>

/** What is asked for, besides queue and priority. */
export const jobInputSchema = Type.Object(
  {
    source: jobSourceSchema,
    /** Live: name of the stream that is published. */
    target: Type.Optional(Type.Object({ stream: Type.String({ minLength: 1 }) }, closed)),
    clip: Type.Optional(
      Type.Object(
        { fromSeconds: Type.Number({ minimum: 0 }), toSeconds: Type.Optional(Type.Number({ exclusiveMinimum: 0 })) },
        { ...closed, description: 'Part of the source; without `toSeconds`: to its end.' },
      ),
    ),
    crop: Type.Optional(cropSchema),
    watermark: Type.Optional(
      Type.Object(
        {
          object: Type.String({ minLength: 1, maxLength: 1024, description: 'A PNG in the object store.' }),
          corner: Type.Enum(['top-left', 'top-right', 'bottom-left', 'bottom-right'], { default: 'bottom-right' }),
          widthPercent: Type.Number({ default: 12, exclusiveMinimum: 0, maximum: 100 }),
          marginPercent: Type.Number({ default: 3, minimum: 0, maximum: 50 }),
          opacity: Type.Number({ default: 1, minimum: 0, maximum: 1 }),
        },
        closed,
      ),
    ),
  },
  { ...closed, title: 'JobInput' },
)
export type JobInput = Static<typeof jobInputSchema>
