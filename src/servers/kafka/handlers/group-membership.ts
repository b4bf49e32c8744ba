import { toAppError } from '#lib/errors.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'

/** Versions of JoinGroup in which a new member is told its id first, and in which the leader may be told to leave the assignment as it is. */
const memberIdSince = 4
const skipSince = 9
/** From then on a protocol that there is not is null, before it was empty. */
const nullProtocolSince = 7
/** Until then one member left at a time, with the error of the whole. */
const severalLeaveSince = 3

/** Enters a group, or the next generation of it; waits until all members are there. */
export const joinGroup: Handler<'joinGroup'> = async (request, call) => {
  const { groupId, memberId, groupInstanceId, sessionTimeoutMs, protocolType, protocols } = request
  const nothing = {
    generationId: -1,
    protocolName: call.version >= nullProtocolSince ? null : '',
    leader: '',
    memberId,
    members: [],
  }
  if (!call.isAllowed('read', 'group', groupId)) return { ...nothing, errorCode: call.refuse('GROUP_AUTHORIZATION_FAILED') }
  try {
    const joined = await call.context.hub.groups.join({
      groupId,
      memberId,
      instanceId: groupInstanceId,
      clientId: call.clientId,
      clientHost: `/${call.client.principal.host}`,
      sessionTimeoutMs,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? sessionTimeoutMs : request.rebalanceTimeoutMs,
      protocolType,
      protocols,
      mustKnowMemberId: call.version >= memberIdSince,
      canSkipAssignment: call.version >= skipSince,
      signal: call.client.signal,
    })
    return {
      errorCode: kafkaErrors.NONE,
      generationId: joined.generation,
      protocolType: joined.protocolType,
      protocolName: joined.protocol,
      leader: joined.leader,
      skipAssignment: joined.isAssignmentSkipped,
      memberId: joined.memberId,
      members: joined.members.map((member) => ({ ...member, groupInstanceId: member.instanceId })),
    }
  } catch (thrown) {
    const given = toAppError(thrown).details?.['memberId']
    return { ...nothing, errorCode: call.groupFault(thrown).errorCode, memberId: typeof given === 'string' ? given : memberId }
  }
}

/** The leader brings the assignment; every member takes its own. */
export const syncGroup: Handler<'syncGroup'> = async (request, call) => {
  const { groupId, memberId, groupInstanceId, generationId, protocolType, protocolName, assignments } = request
  const assignment = Buffer.alloc(0)
  if (!call.isAllowed('read', 'group', groupId)) return { errorCode: call.refuse('GROUP_AUTHORIZATION_FAILED'), assignment }
  try {
    const synced = await call.context.hub.groups.sync({
      groupId,
      memberId,
      instanceId: groupInstanceId,
      generation: generationId,
      protocolType,
      protocol: protocolName,
      assignments,
      signal: call.client.signal,
    })
    return {
      errorCode: kafkaErrors.NONE,
      protocolType: synced.protocolType,
      protocolName: synced.protocol,
      assignment: synced.assignment,
    }
  } catch (thrown) {
    return { errorCode: call.groupFault(thrown).errorCode, assignment }
  }
}

/** A member is alive, and learns whether it has to join again. */
export const heartbeat: Handler<'heartbeat'> = ({ groupId, memberId, groupInstanceId, generationId }, call) => {
  if (!call.isAllowed('read', 'group', groupId)) return { errorCode: call.refuse('GROUP_AUTHORIZATION_FAILED') }
  try {
    call.context.hub.groups.heartbeat({ groupId, memberId, instanceId: groupInstanceId, generation: generationId })
    return { errorCode: kafkaErrors.NONE }
  } catch (thrown) {
    return { errorCode: call.groupFault(thrown).errorCode }
  }
}

/** Members leave, so that the others take their partitions at once. */
export const leaveGroup: Handler<'leaveGroup'> = (request, call) => {
  const { groupId, memberId } = request
  if (!call.isAllowed('read', 'group', groupId)) return { errorCode: call.refuse('GROUP_AUTHORIZATION_FAILED') }
  const isOne = call.version < severalLeaveSince
  const leaving = isOne
    ? [{ memberId, instanceId: null }]
    : request.members.map((member) => ({ memberId: member.memberId, instanceId: member.groupInstanceId }))
  try {
    const left = call.context.hub.groups.leave({ groupId, members: leaving })
    const members = left.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      errorCode: member.error ? call.groupFault(member.error).errorCode : kafkaErrors.NONE,
    }))
    return isOne ? { errorCode: members[0]?.errorCode ?? kafkaErrors.NONE } : { errorCode: kafkaErrors.NONE, members }
  } catch (thrown) {
    return { errorCode: call.groupFault(thrown).errorCode }
  }
}
