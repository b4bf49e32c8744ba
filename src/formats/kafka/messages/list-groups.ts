import { array, int16, int32, since, string, struct } from '../codec.ts'

/** ListGroups, api key 16. https://kafka.apache.org/protocol.html#The_Messages_ListGroups */
export const listGroupsRequest = struct({ statesFilter: since(4, array(string), []) })

export const listGroupsResponse = struct({
  throttleTimeMs: since(1, int32, 0),
  errorCode: int16,
  groups: array(struct({ groupId: string, protocolType: string, groupState: since(4, string, '') })),
})
