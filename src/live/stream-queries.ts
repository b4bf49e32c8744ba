import type { Kysely, Selectable } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Schema, StreamsTable } from '#store/sql/schema.ts'
import type { StoredStream } from './registry.ts'
import { recordingPolicySchema, streamSpecSchema } from './settings.ts'
import type { StreamSpecPatch } from './stream-spec.ts'

const recordingWishSchema = Type.Union([Type.Literal('on'), Type.Literal('off'), Type.Literal('paused')])

/** `StreamSpecPatch`: every field optional, also within `recording`. Fields of a newer version are let through, and so survive a save. */
const specPatchSchema = Type.Partial(
  Type.Object({
    ...streamSpecSchema.properties,
    recording: Type.Partial(Type.Object(recordingPolicySchema.properties)),
  }),
)

/**
 * What the API said of streams, in order of their names. A row that cannot be read is logged and left out, so that it costs one
 * stream and not all; it stays in the database.
 */
export async function loadStreamRows(db: Kysely<Schema>, log: Logger): Promise<StoredStream[]> {
  const rows = await db.selectFrom('streams').selectAll().orderBy('name').execute()
  return rows.flatMap((row) => {
    try {
      return [parseRow(row)]
    } catch (error) {
      log.error({ stream: row.name, error: String(error) }, 'stored stream cannot be read and is left out')
      return []
    }
  })
}

/** Stores the stream, over what was said of it before. */
export async function saveStreamRow(db: Kysely<Schema>, stream: StoredStream): Promise<void> {
  const { name, isDeclared, spec, isEnabled, recording, createdAtMs, updatedAtMs } = stream
  const said = {
    spec: JSON.stringify(spec),
    is_enabled: isEnabled === undefined ? null : Number(isEnabled),
    recording: recording ?? null,
    is_declared: Number(isDeclared),
    updated_at_ms: updatedAtMs,
  }
  await db
    .insertInto('streams')
    .values({ name, created_at_ms: createdAtMs, ...said })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(said))
    .execute()
}

/** Forgets the stream; nothing happens when it is not stored. */
export async function deleteStreamRow(db: Kysely<Schema>, name: string): Promise<void> {
  await db.deleteFrom('streams').where('name', '=', name).execute()
}

function parseRow(row: Selectable<StreamsTable>): StoredStream {
  return {
    name: row.name,
    isDeclared: row.is_declared === 1,
    spec: parseSpec(row.spec),
    ...(row.is_enabled === null ? {} : { isEnabled: row.is_enabled === 1 }),
    ...(row.recording === null ? {} : { recording: Value.Parse(recordingWishSchema, row.recording) }),
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
  }
}

function parseSpec(json: string): StreamSpecPatch {
  const spec: unknown = JSON.parse(json)
  if (Value.Check(specPatchSchema, spec)) return spec
  const [first] = Value.Errors(specPatchSchema, spec)
  throw new AppError('MALFORMED', `spec${first?.instancePath ?? ''} ${first?.message ?? 'is malformed'}`)
}
