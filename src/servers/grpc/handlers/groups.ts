import type * as schemas from '#formats/protobuf/schemas/log-v1.ts'
import type { InputOf, ValueOf } from '#formats/protobuf/types.ts'
import type { At } from '../route.ts'

/** A consumer that is no member of its group. */
const noMember = { memberId: '', instanceId: null, generation: -1 } as const

/** Throws the first of the faults; repeating all of it does no harm. */
export async function commitOffsets(
  { group, offsets }: ValueOf<typeof schemas.commitOffsetsRequest>,
  { context }: At,
): Promise<InputOf<typeof schemas.commitOffsetsResponse>> {
  const answers = await context.hub.groups.commitOffsets({
    ...noMember,
    groupId: group,
    offsets: offsets.map((one) => ({ ...one, leaderEpoch: -1 })),
  })
  for (const { error } of answers) if (error) throw error
  return {}
}

export async function committedOffsets(
  { group, partitions }: ValueOf<typeof schemas.committedOffsetsRequest>,
  { context }: At,
): Promise<InputOf<typeof schemas.committedOffsetsResponse>> {
  const offsets = await context.hub.groups.committedOffsets(group, partitions.length === 0 ? undefined : partitions)
  return { offsets }
}

export async function listGroups(_: unknown, { context }: At): Promise<InputOf<typeof schemas.listGroupsResponse>> {
  const groups = context.hub.groups.list().map(({ groupId, state, protocolType, generation, members }) => ({
    id: groupId,
    state,
    protocolType,
    generation,
    memberCount: members.length,
  }))
  return { groups }
}
