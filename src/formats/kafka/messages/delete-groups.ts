import { array, int16, int32, string, struct } from '../codec.ts'

/** DeleteGroups, api key 42. https://kafka.apache.org/protocol.html#The_Messages_DeleteGroups */
export const deleteGroupsRequest = struct({ groupsNames: array(string) })

export const deleteGroupsResponse = struct({
  throttleTimeMs: int32,
  results: array(struct({ groupId: string, errorCode: int16 })),
})
