import { Type, type Static } from 'typebox'
import { Check } from 'typebox/value'
import { AppError } from '#lib/errors.ts'

export const migrationSchema = Type.Object({ id: Type.Integer(), name: Type.String() })

/** What is known of a backup without reading it. Stored beside it, after it: a backup without one was never finished. */
const manifestSchema = Type.Object({
  format: Type.Literal(1),
  /** `sqlite`: the database as it was; `postgres`: what `pg_dump --format=custom` wrote. */
  database: Type.Enum(['sqlite', 'postgres']),
  /** Name of the file, in the same directory. */
  file: Type.String({ pattern: String.raw`^millrace-\d{8}T\d{6}\.\d{3}Z\.(db|dump)$` }),
  createdAt: Type.String({ format: 'date-time' }),
  version: Type.String({ description: 'Of the program.' }),
  sizeBytes: Type.Integer({ minimum: 0 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  migrations: Type.Array(migrationSchema),
  /** Settings that were not at their default, secrets hidden. */
  configuration: Type.Array(Type.Object({ key: Type.String(), value: Type.Unknown(), origin: Type.String() })),
})
export type BackupManifest = Static<typeof manifestSchema>
export type BackupMigration = Static<typeof migrationSchema>

/** Throws `BACKUP_DAMAGED`. */
export function parseManifest(text: string, path: string): BackupManifest {
  const value = parseJson(text)
  if (Check(manifestSchema, value)) return value
  throw new AppError('BACKUP_DAMAGED', `${path} is no manifest of a backup that this version knows; take another backup`)
}

/** `millrace-20260102T100005.123Z`, in UTC: names sort by time. */
export function backupStem(atMs: number): string {
  return `millrace-${new Date(atMs).toISOString().replaceAll(/[-:]/g, '')}`
}

/** The manifest that belongs to the file of a backup. */
export function manifestName(file: string): string {
  return `${file.replace(/\.(db|dump)$/, '')}.json`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
