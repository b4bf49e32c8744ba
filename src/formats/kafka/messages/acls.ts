import { array, int16, int32, int8, nullableString, since, string, struct } from '../codec.ts'

/** The pattern type before version 1: the name itself. */
const literalPattern = 3

const aclFilter = {
  resourceTypeFilter: int8,
  resourceNameFilter: nullableString,
  patternTypeFilter: since(1, int8, literalPattern),
  principalFilter: nullableString,
  hostFilter: nullableString,
  operation: int8,
  permissionType: int8,
}

/** DescribeAcls, api key 29. https://kafka.apache.org/protocol.html#The_Messages_DescribeAcls */
export const describeAclsRequest = struct(aclFilter)

export const describeAclsResponse = struct({
  throttleTimeMs: int32,
  errorCode: int16,
  errorMessage: nullableString,
  resources: array(
    struct({
      resourceType: int8,
      resourceName: string,
      patternType: since(1, int8, literalPattern),
      acls: array(struct({ principal: string, host: string, operation: int8, permissionType: int8 })),
    }),
  ),
})

/** CreateAcls, api key 30. https://kafka.apache.org/protocol.html#The_Messages_CreateAcls */
export const createAclsRequest = struct({
  creations: array(
    struct({
      resourceType: int8,
      resourceName: string,
      resourcePatternType: since(1, int8, literalPattern),
      principal: string,
      host: string,
      operation: int8,
      permissionType: int8,
    }),
  ),
})

export const createAclsResponse = struct({
  throttleTimeMs: int32,
  results: array(struct({ errorCode: int16, errorMessage: nullableString })),
})

/** DeleteAcls, api key 31. https://kafka.apache.org/protocol.html#The_Messages_DeleteAcls */
export const deleteAclsRequest = struct({ filters: array(struct(aclFilter)) })

export const deleteAclsResponse = struct({
  throttleTimeMs: int32,
  filterResults: array(
    struct({
      errorCode: int16,
      errorMessage: nullableString,
      matchingAcls: array(
        struct({
          errorCode: int16,
          errorMessage: nullableString,
          resourceType: int8,
          resourceName: string,
          patternType: since(1, int8, literalPattern),
          principal: string,
          host: string,
          operation: int8,
          permissionType: int8,
        }),
      ),
    }),
  ),
})
