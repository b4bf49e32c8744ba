import { array, bool, int16, int32, int8, nullableString, since, string, struct } from '../codec.ts'

/** DescribeCluster, api key 60. https://kafka.apache.org/protocol.html#The_Messages_DescribeCluster */
export const describeClusterRequest = struct({
  includeClusterAuthorizedOperations: bool,
  endpointType: since(1, int8, 1),
})

export const describeClusterResponse = struct({
  throttleTimeMs: int32,
  errorCode: int16,
  errorMessage: nullableString,
  endpointType: since(1, int8, 1),
  clusterId: string,
  controllerId: int32,
  brokers: array(struct({ brokerId: int32, host: string, port: int32, rack: nullableString })),
  clusterAuthorizedOperations: int32,
})
