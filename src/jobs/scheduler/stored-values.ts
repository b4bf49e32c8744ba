/** What the database keeps of a job as JSON, checked when it is read back: input, plan, what tasks left, and the result. */
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import {
  audioEncoderSchema,
  frameRangeSchema,
  packageFactsSchema,
  pictureSchema,
  rollsSchema,
  sourceProbeSchema,
  timelineSchema,
  videoEncoderSchema,
} from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { TaskRow } from '../model.ts'
import type { JobPlan } from '../plan/plan.ts'
import { jobInputSchema, scenarioSchema, type JobInput } from '../scenario.ts'
import { taskOutputSchema } from '../worker-protocol.ts'

const closed = { additionalProperties: false } as const
const count = Type.Integer({ minimum: 0 })

/** A file that a task left in the object store. */
export const storedFileSchema = Type.Object({ name: Type.String(), key: Type.String(), sizeBytes: count })
export type StoredFile = Static<typeof storedFileSchema>

/** What a task that is done left: what it said, and its files. */
export const storedOutputSchema = Type.Object({ output: taskOutputSchema, files: Type.Array(storedFileSchema) }, closed)
export type StoredOutput = Static<typeof storedOutputSchema>

/** What a job has published: files below `prefix`, of which a player opens `entry`. */
export const jobResultSchema = Type.Object(
  {
    prefix: Type.String({ description: 'Key of each file in the object store is this and its name.' }),
    ...packageFactsSchema.properties,
  },
  closed,
)
export type JobResult = Static<typeof jobResultSchema>

const storedPlanSchema = Type.Object({
  scenario: scenarioSchema,
  probe: sourceProbeSchema,
  startMs: Type.Number(),
  durationMs: Type.Number(),
  renditions: Type.Array(
    Type.Object({
      name: Type.String(),
      timeline: timelineSchema,
      picture: pictureSchema,
      video: videoEncoderSchema,
      chunks: Type.Array(frameRangeSchema),
      rolls: rollsSchema,
    }),
  ),
  audio: Type.Array(
    Type.Object({
      name: Type.String(),
      track: count,
      audio: audioEncoderSchema,
      language: Type.Optional(Type.String()),
      title: Type.Optional(Type.String()),
      isDefault: Type.Boolean(),
    }),
  ),
  singlePiece: Type.Optional(Type.String()),
})

type Stored = { readonly jobId: string }

/** Throws `INTERNAL`: the row was written by another version, or by hand. */
export function parseInput(input: unknown, { jobId }: Stored): JobInput {
  return parse(jobInputSchema, input, `input of job ${jobId}`)
}

/** Throws `INTERNAL`, also for a job that has no plan yet. */
export function parsePlan(plan: unknown, { jobId }: Stored): JobPlan {
  return toPlan(parse(storedPlanSchema, plan, `plan of job ${jobId}`))
}

function toPlan({ audio, singlePiece, ...rest }: Static<typeof storedPlanSchema>): JobPlan {
  return {
    ...rest,
    audio: audio.map(({ language, title, ...track }) => ({ ...track, language, title })),
    singlePiece,
  }
}

/** Undefined for a job that has none, or one that this version cannot read. */
export function findResult(result: unknown): JobResult | undefined {
  return Value.Check(jobResultSchema, result) ? result : undefined
}

/** Undefined for a job that is not planned yet, or whose plan this version cannot read. */
export function findPlan(plan: unknown): JobPlan | undefined {
  return Value.Check(storedPlanSchema, plan) ? toPlan(plan) : undefined
}

/** Throws `INTERNAL`. */
export function parseOutput({ id, output }: Pick<TaskRow, 'id' | 'output'>): StoredOutput {
  return parse(storedOutputSchema, output, `output of task ${id}`)
}

function parse<Schema extends TSchema>(schema: Schema, value: unknown, what: string): Static<Schema> {
  if (Value.Check(schema, value)) return value
  const [first] = Value.Errors(schema, value)
  throw new AppError(
    'INTERNAL',
    `the stored ${what} cannot be read: ${first?.instancePath ?? ''} ${first?.message ?? ''}; submit the job again`,
  )
}
