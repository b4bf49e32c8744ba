import { Type } from 'typebox'

/** The `[backup]` section. */
export const backupSettingsSchema = Type.Object(
  {
    enabled: Type.Boolean({
      default: true,
      description:
        'Copy a SQLite database while the server runs. PostgreSQL has tools of its own, and "millrace backup create" uses them.',
    }),
    everyHours: Type.Number({
      default: 6,
      minimum: 0.1,
      maximum: 8760,
      description: 'A backup is made when the newest one is older than this.',
    }),
    keepDays: Type.Number({
      default: 30,
      minimum: 0.1,
      maximum: 36_500,
      description: 'Older backups are deleted; the newest two are kept whatever their age.',
    }),
    directory: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Directory for backups, best on another disk; default is `backups` in the data directory.',
      }),
    ),
    toObjects: Type.Boolean({
      default: false,
      description: 'Copy each backup to the object store too, under `backups/`; there it is deleted by the same rule.',
    }),
  },
  { additionalProperties: false },
)
