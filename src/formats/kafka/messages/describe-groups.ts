import { array, bool, bytes, int16, int32, nullableString, since, string, struct } from '../codec.ts'
import { noAuthorizedOperations } from './metadata.ts'

/** DescribeGroups, api key 15. https://kafka.apache.org/protocol.html#The_Messages_DescribeGroups */
export const describeGroupsRequest = struct({ groups: array(string), includeAuthorizedOperations: since(3, bool, false) })

export const describeGroupsResponse = struct({
  throttleTimeMs: since(1, int32, 0),
  groups: array(
    struct({
      errorCode: int16,
      groupId: string,
      groupState: string,
      protocolType: string,
      protocolData: string,
      members: array(
        struct({
          memberId: string,
          groupInstanceId: since(4, nullableString, null),
          clientId: string,
          clientHost: string,
          memberMetadata: bytes,
          memberAssignment: bytes,
        }),
      ),
      authorizedOperations: since(3, int32, noAuthorizedOperations),
    }),
  ),
})
