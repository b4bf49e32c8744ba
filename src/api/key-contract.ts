/** What goes over `/api/v1` about API keys, both ways; the rules of `contract.ts` hold here, too. */
import { Type, type Static } from 'typebox'
import { closed, nextCursor, timeSchema } from './contract.ts'

/** Rights that nobody named: those of `[[users]]`. */
export const keyDefaults = { publish: [], read: ['*'], admin: false }

const patternsOf = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 100, description })
const nameSchema = Type.String({
  pattern: '^[^:"\\s]{1,64}$',
  description: 'For people, and in logs as `key:<name>`: letters without space, colon or quote. No other key has it.',
})
const publishSchema = patternsOf('Streams that the key may publish, such as "site-1/*"; none when absent.')
const readSchema = patternsOf('Streams that the key may read; all when absent.')
const adminSchema = Type.Boolean({ description: 'The key may see and change everything by API; false when absent.' })

export const keyParamsSchema = Type.Object({ id: Type.String({ pattern: '^[0-9a-z]{22}$' }) }, closed)

/** The body of POST /keys. */
export const keyCreateSchema = Type.Object(
  {
    name: nameSchema,
    publish: Type.Optional(publishSchema),
    read: Type.Optional(readSchema),
    admin: Type.Optional(adminSchema),
    expiresAt: Type.Optional(
      Type.String({ format: 'date-time', description: 'From then on it is not valid; never when absent.' }),
    ),
  },
  { ...closed, title: 'KeyCreate' },
)
export type KeyCreate = Static<typeof keyCreateSchema>

export const defaultOverlapSeconds = 86_400
export const maxOverlapSeconds = 90 * 86_400

/** The query of POST /keys/:id/rotate. */
export const keyRotateQuerySchema = Type.Object(
  {
    overlapSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: maxOverlapSeconds,
        description: `How long the secret of now is valid beside the new one; ${defaultOverlapSeconds} (a day) when absent.`,
      }),
    ),
  },
  closed,
)

const keyFields = {
  id: Type.String(),
  name: nameSchema,
  publish: publishSchema,
  read: readSchema,
  admin: adminSchema,
  isExpired: Type.Boolean(),
  createdAt: timeSchema,
  rotatedAt: Type.Optional(Type.String({ format: 'date-time', description: 'When its secret was made, if that was later.' })),
  previousValidUntil: Type.Optional(
    Type.String({ format: 'date-time', description: 'The secret before the last rotation is valid until then.' }),
  ),
  expiresAt: Type.Optional(timeSchema),
  lastUsedAt: Type.Optional(Type.String({ format: 'date-time', description: 'To the minute; absent: never.' })),
}
export const keyViewSchema = Type.Object(keyFields, { title: 'Key' })
export type KeyView = Static<typeof keyViewSchema>

/** The only answer that holds the key itself. */
export const shownKeySchema = Type.Object(
  { ...keyFields, key: Type.String({ description: 'mrk_<id>_<secret>: keep it, it is not shown again.' }) },
  { title: 'ShownKey' },
)
export type ShownKeyView = Static<typeof shownKeySchema>

export const keyListSchema = Type.Object({ items: Type.Array(keyViewSchema), nextCursor })
