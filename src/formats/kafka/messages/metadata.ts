import {
  array,
  between,
  bool,
  int16,
  int32,
  nullableArray,
  nullableString,
  since,
  string,
  stringNullableSince,
  struct,
  uuid,
  zeroUuid,
} from '../codec.ts'

/** What stands for "not asked for" where a set of allowed operations is answered. */
export const noAuthorizedOperations = -2_147_483_648

/**
 * Metadata, api key 3. https://kafka.apache.org/protocol.html#The_Messages_Metadata
 * All topics are asked for with null, in version 0 with an empty array.
 */
export const metadataRequest = struct({
  topics: nullableArray(struct({ topicId: since(10, uuid, zeroUuid), name: stringNullableSince(10) }), 1),
  allowAutoTopicCreation: since(4, bool, true),
  includeClusterAuthorizedOperations: between(8, 10, bool, false),
  includeTopicAuthorizedOperations: since(8, bool, false),
})

export const metadataResponse = struct({
  throttleTimeMs: since(3, int32, 0),
  brokers: array(struct({ nodeId: int32, host: string, port: int32, rack: since(1, nullableString, null) })),
  clusterId: since(2, nullableString, null),
  controllerId: since(1, int32, -1),
  topics: array(
    struct({
      errorCode: int16,
      name: stringNullableSince(12),
      topicId: since(10, uuid, zeroUuid),
      isInternal: since(1, bool, false),
      partitions: array(
        struct({
          errorCode: int16,
          partitionIndex: int32,
          leaderId: int32,
          leaderEpoch: since(7, int32, -1),
          replicaNodes: array(int32),
          isrNodes: array(int32),
          offlineReplicas: since(5, array(int32), []),
        }),
      ),
      topicAuthorizedOperations: since(8, int32, noAuthorizedOperations),
    }),
  ),
  clusterAuthorizedOperations: between(8, 10, int32, noAuthorizedOperations),
})
