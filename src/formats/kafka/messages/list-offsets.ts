import { array, int16, int32, int64, int8, since, string, struct } from '../codec.ts'

/** ListOffsets, api key 2. https://kafka.apache.org/protocol.html#The_Messages_ListOffsets */
export const listOffsetsRequest = struct({
  replicaId: int32,
  isolationLevel: since(2, int8, 0),
  topics: array(
    struct({
      name: string,
      partitions: array(struct({ partitionIndex: int32, currentLeaderEpoch: since(4, int32, -1), timestamp: int64 })),
    }),
  ),
})

export const listOffsetsResponse = struct({
  throttleTimeMs: since(2, int32, 0),
  topics: array(
    struct({
      name: string,
      partitions: array(
        struct({
          partitionIndex: int32,
          errorCode: int16,
          timestamp: int64,
          offset: int64,
          leaderEpoch: since(4, int32, -1),
        }),
      ),
    }),
  ),
})
