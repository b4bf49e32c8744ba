import { array, bytes, int16, int32, nullableString, since, string, struct } from '../codec.ts'

/** SyncGroup, api key 14. https://kafka.apache.org/protocol.html#The_Messages_SyncGroup */
export const syncGroupRequest = struct({
  groupId: string,
  generationId: int32,
  memberId: string,
  groupInstanceId: since(3, nullableString, null),
  protocolType: since(5, nullableString, null),
  protocolName: since(5, nullableString, null),
  assignments: array(struct({ memberId: string, assignment: bytes })),
})

export const syncGroupResponse = struct({
  throttleTimeMs: since(1, int32, 0),
  errorCode: int16,
  protocolType: since(5, nullableString, null),
  protocolName: since(5, nullableString, null),
  assignment: bytes,
})
