import { sql, type Kysely, type Selectable } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { rowSet } from '#store/sql/row-set.ts'
import type { ScramCredentialsTable } from '#store/sql/schema-event-log.ts'
import type { Schema } from '#store/sql/schema.ts'
import type { AclRow, ScramRow } from './log-metadata.ts'
import type { Session } from './sql-session.ts'

const aclSchema = Type.Object({
  resourceType: Type.Enum(['topic', 'group', 'cluster']),
  resourceName: Type.String(),
  patternType: Type.Enum(['literal', 'prefixed']),
  principal: Type.String(),
  host: Type.String(),
  operation: Type.String(),
  permission: Type.Enum(['allow', 'deny']),
})
const mechanismSchema = Type.Enum(['SCRAM-SHA-256', 'SCRAM-SHA-512'])

export async function loadAcls(db: Kysely<Schema>): Promise<AclRow[]> {
  const { rows } = await sql`
    select resource_type as "resourceType", resource_name as "resourceName", pattern_type as "patternType",
      principal, host, operation, permission
    from acls order by resource_type, resource_name, pattern_type, principal, host, operation, permission
  `.execute(db)
  return rows.map((row) => Value.Parse(aclSchema, row))
}

/** Rules that are there already stay as they are. */
export async function addAcls({ db, dialect }: Session, acls: readonly AclRow[]): Promise<void> {
  await sql`
    insert into acls (${aclColumns}) select ${aclColumns} from ${aclSet(dialect, acls)} as added
    where true on conflict do nothing
  `.execute(db)
}

export async function removeAcls({ db, dialect }: Session, acls: readonly AclRow[]): Promise<void> {
  await sql`
    delete from acls where (${aclColumns}) in (select ${aclColumns} from ${aclSet(dialect, acls)} as removed)
  `.execute(db)
}

const aclColumns = sql.raw('resource_type, resource_name, pattern_type, principal, host, operation, permission')

function aclSet(dialect: Session['dialect'], acls: readonly AclRow[]) {
  return rowSet(dialect, acls, {
    resource_type: ['text', (acl) => acl.resourceType],
    resource_name: ['text', (acl) => acl.resourceName],
    pattern_type: ['text', (acl) => acl.patternType],
    principal: ['text', (acl) => acl.principal],
    host: ['text', (acl) => acl.host],
    operation: ['text', (acl) => acl.operation],
    permission: ['text', (acl) => acl.permission],
  })
}

export async function loadScramCredentials(db: Kysely<Schema>): Promise<ScramRow[]> {
  const rows = await db.selectFrom('scram_credentials').selectAll().orderBy('user_name').orderBy('mechanism').execute()
  return rows.map(toScram)
}

export async function saveScramCredential(db: Kysely<Schema>, row: ScramRow): Promise<void> {
  const { user, mechanism, salt, storedKey, serverKey, iterations } = row
  const keys = { salt, stored_key: storedKey, server_key: serverKey, iterations }
  await db
    .insertInto('scram_credentials')
    .values({ user_name: user, mechanism, ...keys })
    .onConflict((conflict) => conflict.columns(['user_name', 'mechanism']).doUpdateSet(keys))
    .execute()
}

export async function deleteScramCredential(
  db: Kysely<Schema>,
  { user, mechanism }: { user: string; mechanism: string },
): Promise<boolean> {
  const deleted = await db
    .deleteFrom('scram_credentials')
    .where('user_name', '=', user)
    .where('mechanism', '=', mechanism)
    .executeTakeFirst()
  return deleted.numDeletedRows > 0n
}

function toScram(row: Selectable<ScramCredentialsTable>): ScramRow {
  return {
    user: row.user_name,
    mechanism: Value.Parse(mechanismSchema, row.mechanism),
    salt: toBuffer(row.salt),
    storedKey: toBuffer(row.stored_key),
    serverKey: toBuffer(row.server_key),
    iterations: row.iterations,
  }
}

/** SQLite gives plain byte arrays. */
function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
