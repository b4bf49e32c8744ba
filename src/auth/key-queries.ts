import { sql, type Insertable, type Kysely, type Selectable } from 'kysely'
import type { ApiKeysTable } from '#store/sql/schema-auth.ts'
import type { Database, Schema } from '#store/sql/schema.ts'
import type { WrittenRights } from './rights.ts'

/** A key without its secrets; times are milliseconds since the epoch. */
export type ApiKey = {
  readonly id: string
  /** For people; unique among the keys that are not revoked. */
  readonly name: string
  readonly rights: WrittenRights
  readonly createdAtMs: number
  readonly rotatedAtMs: number | undefined
  /** Until when the secret before the last rotation is valid, too. */
  readonly previousUntilMs: number | undefined
  readonly expiresAtMs: number | undefined
  readonly lastUsedAtMs: number | undefined
  readonly revokedAtMs: number | undefined
}

/** With the hashes of its secrets. */
export type HashedKey = ApiKey & { readonly secretHash: string; readonly previousHash: string | undefined }

export type NewKey = Pick<HashedKey, 'id' | 'name' | 'rights' | 'createdAtMs' | 'expiresAtMs' | 'secretHash'>

/** Those that are not revoked, by id. */
export async function listKeys(db: Kysely<Schema>): Promise<ApiKey[]> {
  const rows = await db.selectFrom('api_keys').selectAll().where('revoked_at_ms', 'is', null).orderBy('id').execute()
  return rows.map(toKey)
}

/** Also one that is revoked. */
export async function findKey(db: Kysely<Schema>, id: string): Promise<HashedKey | undefined> {
  const row = await db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst()
  return row && { ...toKey(row), secretHash: row.secret_hash, previousHash: row.previous_hash ?? undefined }
}

/**
 * Adds a key, unless there are `maxKeys` of them. Two nodes that add the last one at the same moment may both do so: the bound is
 * against keys without end, not an exact one.
 */
export async function addKey(
  { db }: Database,
  key: NewKey,
  { maxKeys }: { maxKeys: number },
): Promise<'added' | 'exists' | 'full'> {
  return await db.transaction().execute(async (trx) => {
    const { count } = await trx
      .selectFrom('api_keys')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('revoked_at_ms', 'is', null)
      .executeTakeFirstOrThrow()
    if (count >= maxKeys) return 'full'
    const added = await trx
      .insertInto('api_keys')
      .values(toRow(key))
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .execute()
    return added.length > 0 ? 'added' : 'exists'
  })
}

/** The secret of now becomes the one before, valid until `previousUntilMs`; what was before it is valid no more. */
export async function rotateKey(
  db: Kysely<Schema>,
  id: string,
  { secretHash, previousUntilMs, nowMs }: { secretHash: string; previousUntilMs: number; nowMs: number },
): Promise<ApiKey | undefined> {
  const row = await db
    .updateTable('api_keys')
    .set((row) => ({
      previous_hash: row.ref('secret_hash'),
      previous_until_ms: previousUntilMs,
      secret_hash: secretHash,
      rotated_at_ms: nowMs,
    }))
    .where('id', '=', id)
    .where('revoked_at_ms', 'is', null)
    .returningAll()
    .executeTakeFirst()
  return row && toKey(row)
}

/** The row stays, until `keptRevoked` others were revoked after it. */
export async function revokeKey(
  { db }: Database,
  id: string,
  { nowMs, keptRevoked }: { nowMs: number; keptRevoked: number },
): Promise<ApiKey | undefined> {
  return await db.transaction().execute(async (trx) => {
    const row = await trx
      .updateTable('api_keys')
      .set({ revoked_at_ms: nowMs })
      .where('id', '=', id)
      .where('revoked_at_ms', 'is', null)
      .returningAll()
      .executeTakeFirst()
    await sql`
      delete from api_keys where id in (
        select id from api_keys where revoked_at_ms is not null order by revoked_at_ms desc, id limit ${2 ** 31} offset ${keptRevoked}
      )`.execute(trx)
    return row && toKey(row)
  })
}

/** Never goes back: nodes tell it in any order. */
export async function touchKey(db: Kysely<Schema>, id: string, usedAtMs: number): Promise<void> {
  await db
    .updateTable('api_keys')
    .set({ last_used_at_ms: usedAtMs })
    .where('id', '=', id)
    .where((where) => where.or([where('last_used_at_ms', 'is', null), where('last_used_at_ms', '<', usedAtMs)]))
    .execute()
}

function toRow({ id, name, rights, createdAtMs, expiresAtMs, secretHash }: NewKey): Insertable<ApiKeysTable> {
  return {
    id,
    name,
    is_admin: rights.admin ? 1 : 0,
    publish_patterns: JSON.stringify(rights.publish),
    read_patterns: JSON.stringify(rights.read),
    secret_hash: secretHash,
    created_at_ms: createdAtMs,
    expires_at_ms: expiresAtMs ?? null,
  }
}

function toKey(row: Selectable<ApiKeysTable>): ApiKey {
  return {
    id: row.id,
    name: row.name,
    rights: { admin: row.is_admin === 1, publish: parsePatterns(row.publish_patterns), read: parsePatterns(row.read_patterns) },
    previousUntilMs: row.previous_until_ms ?? undefined,
    createdAtMs: row.created_at_ms,
    rotatedAtMs: row.rotated_at_ms ?? undefined,
    expiresAtMs: row.expires_at_ms ?? undefined,
    lastUsedAtMs: row.last_used_at_ms ?? undefined,
    revokedAtMs: row.revoked_at_ms ?? undefined,
  }
}

function parsePatterns(text: string): string[] {
  const patterns: unknown = JSON.parse(text)
  return Array.isArray(patterns) ? patterns.map(String) : []
}
