import type { Kysely, Selectable } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { ConsumerGroupsTable } from '#store/sql/schema-event-log.ts'
import type { Schema } from '#store/sql/schema.ts'
import type { GroupMemberRow, GroupRow } from './log-metadata.ts'

/** Members as they are stored: bytes as base64. */
const membersSchema = Type.Array(
  Type.Object({
    memberId: Type.String(),
    instanceId: Type.Union([Type.String(), Type.Null()]),
    clientId: Type.String(),
    clientHost: Type.String(),
    sessionTimeoutMs: Type.Integer(),
    rebalanceTimeoutMs: Type.Integer(),
    protocols: Type.Array(Type.Object({ name: Type.String(), metadata: Type.String() })),
    assignment: Type.String(),
  }),
)

export async function loadGroups(db: Kysely<Schema>): Promise<GroupRow[]> {
  const rows = await db.selectFrom('consumer_groups').selectAll().orderBy('id').execute()
  return rows.map(toGroup)
}

export async function saveGroup(db: Kysely<Schema>, group: GroupRow): Promise<void> {
  const state = {
    generation: group.generation,
    protocol_type: group.protocolType,
    protocol: group.protocol,
    leader: group.leader,
    members: formatMembers(group.members),
    member_count: group.members.length,
    updated_at_ms: group.updatedAtMs,
  }
  await db
    .insertInto('consumer_groups')
    .values({ id: group.groupId, ...state })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(state))
    .execute()
}

/** A group that only ever committed offsets is there too. */
export async function deleteGroup(db: Kysely<Schema>, groupId: string): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    const group = await transaction.deleteFrom('consumer_groups').where('id', '=', groupId).executeTakeFirst()
    const offsets = await transaction.deleteFrom('group_offsets').where('group_id', '=', groupId).executeTakeFirst()
    return group.numDeletedRows + offsets.numDeletedRows > 0n
  })
}

function toGroup(row: Selectable<ConsumerGroupsTable>): GroupRow {
  return {
    groupId: row.id,
    generation: row.generation,
    protocolType: row.protocol_type,
    protocol: row.protocol,
    leader: row.leader,
    members: parseMembers(row.members),
    updatedAtMs: row.updated_at_ms,
  }
}

function formatMembers(members: readonly GroupMemberRow[]): string {
  return JSON.stringify(
    members.map((member) => ({
      ...member,
      protocols: member.protocols.map(({ name, metadata }) => ({ name, metadata: metadata.toString('base64') })),
      assignment: member.assignment.toString('base64'),
    })),
  )
}

function parseMembers(json: string): GroupMemberRow[] {
  return Value.Parse(membersSchema, JSON.parse(json)).map((member) => ({
    ...member,
    protocols: member.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata, 'base64') })),
    assignment: Buffer.from(member.assignment, 'base64'),
  }))
}
