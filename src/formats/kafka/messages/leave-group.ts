import { array, int16, int32, nullableString, since, string, struct, until } from '../codec.ts'

/** LeaveGroup, api key 13: one member, from version 3 on several. https://kafka.apache.org/protocol.html#The_Messages_LeaveGroup */
export const leaveGroupRequest = struct({
  groupId: string,
  memberId: until(2, string, ''),
  members: since(
    3,
    array(struct({ memberId: string, groupInstanceId: nullableString, reason: since(5, nullableString, null) })),
    [],
  ),
})

export const leaveGroupResponse = struct({
  throttleTimeMs: since(1, int32, 0),
  errorCode: int16,
  members: since(3, array(struct({ memberId: string, groupInstanceId: nullableString, errorCode: int16 })), []),
})
