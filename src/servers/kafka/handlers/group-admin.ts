import type { ResponseInputOf } from '#formats/kafka/apis.ts'
import type { Call } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'

const groupKey = 0
const transactionKey = 1
const severalKeysSince = 4
/** What Kafka calls the state of a group that it does not know. */
const unknownState = 'Dead'

type Coordinator = NonNullable<ResponseInputOf<'findCoordinator'>['coordinators']>[number]

/** Which node to ask about a group: this one. */
export const findCoordinator: Handler<'findCoordinator'> = ({ key, keyType, coordinatorKeys }, call) => {
  if (call.version >= severalKeysSince) {
    return { coordinators: coordinatorKeys.map((one) => coordinatorOf(call, { key: one, keyType })) }
  }
  return coordinatorOf(call, { key, keyType })
}

function coordinatorOf(call: Call, { key, keyType }: { key: string; keyType: number }): Coordinator {
  const nowhere = { key, nodeId: -1, host: '', port: -1 }
  // Of the codes for transactions, this is the one that librdkafka and the Java client do not try again after.
  if (keyType === transactionKey) {
    return {
      ...nowhere,
      ...call.refusal('TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'Millrace has no transactions; leave transactional.id out'),
    }
  }
  if (keyType !== groupKey)
    return { ...nowhere, ...call.refusal('INVALID_REQUEST', `there is no coordinator of type ${keyType}`) }
  if (!call.isAllowed('describe', 'group', key)) {
    return { ...nowhere, ...call.refusal('GROUP_AUTHORIZATION_FAILED', 'you may not see this group') }
  }
  return { key, nodeId: call.context.hub.nodeId, ...call.client.endpoint, errorCode: kafkaErrors.NONE, errorMessage: null }
}

/** State and members of groups. One that is not there is told as dead. */
export const describeGroups: Handler<'describeGroups'> = ({ groups }, call) => ({
  groups: groups.map((groupId) => {
    const nothing = { groupId, groupState: '', protocolType: '', protocolData: '', members: [] }
    if (!call.isAllowed('describe', 'group', groupId)) return { ...nothing, errorCode: call.refuse('GROUP_AUTHORIZATION_FAILED') }
    const view = call.context.hub.groups.describe(groupId)
    if (!view) return { ...nothing, groupState: unknownState, errorCode: kafkaErrors.NONE }
    return {
      errorCode: kafkaErrors.NONE,
      groupId,
      groupState: view.state,
      protocolType: view.protocolType,
      protocolData: view.protocol,
      members: view.members.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberMetadata: member.metadata,
        memberAssignment: member.assignment,
      })),
    }
  }),
})

/** The groups that there are; from version 4 on those in some states. */
export const listGroups: Handler<'listGroups'> = ({ statesFilter }, call) => {
  const states = statesFilter.map((state) => state.toLowerCase())
  const listed = call.context.hub.groups
    .list()
    .filter(
      ({ groupId, state }) =>
        (states.length === 0 || states.includes(state.toLowerCase())) && call.isAllowed('describe', 'group', groupId),
    )
  return {
    errorCode: kafkaErrors.NONE,
    groups: listed.map(({ groupId, protocolType, state }) => ({ groupId, protocolType, groupState: state })),
  }
}

/** Removes groups without members, with their offsets. */
export const deleteGroups: Handler<'deleteGroups'> = async ({ groupsNames }, call) => {
  const results: ResponseInputOf<'deleteGroups'>['results'][number][] = []
  for (const groupId of groupsNames) results.push({ groupId, errorCode: await deleteGroup(call, groupId) })
  return { throttleTimeMs: 0, results }
}

async function deleteGroup(call: Call, groupId: string): Promise<number> {
  if (!call.isAllowed('delete', 'group', groupId)) return call.refuse('GROUP_AUTHORIZATION_FAILED')
  try {
    await call.context.hub.groups.delete(groupId)
    return kafkaErrors.NONE
  } catch (thrown) {
    return call.groupFault(thrown).errorCode
  }
}
