import { array, bool, bytes, int16, int32, nullableString, since, string, stringNullableSince, struct } from '../codec.ts'

/** JoinGroup, api key 11. https://kafka.apache.org/protocol.html#The_Messages_JoinGroup */
export const joinGroupRequest = struct({
  groupId: string,
  sessionTimeoutMs: int32,
  rebalanceTimeoutMs: since(1, int32, -1),
  memberId: string,
  groupInstanceId: since(5, nullableString, null),
  protocolType: string,
  protocols: array(struct({ name: string, metadata: bytes })),
  reason: since(8, nullableString, null),
})

export const joinGroupResponse = struct({
  throttleTimeMs: since(2, int32, 0),
  errorCode: int16,
  generationId: int32,
  protocolType: since(7, nullableString, null),
  protocolName: stringNullableSince(7),
  leader: string,
  skipAssignment: since(9, bool, false),
  memberId: string,
  members: array(struct({ memberId: string, groupInstanceId: since(5, nullableString, null), metadata: bytes })),
})
