import { array, int16, int32, int64, since, string, struct } from '../codec.ts'

/** OffsetForLeaderEpoch, api key 23. https://kafka.apache.org/protocol.html#The_Messages_OffsetForLeaderEpoch */
export const offsetForLeaderEpochRequest = struct({
  replicaId: since(3, int32, -2),
  topics: array(
    struct({
      topic: string,
      partitions: array(struct({ partition: int32, currentLeaderEpoch: since(2, int32, -1), leaderEpoch: int32 })),
    }),
  ),
})

export const offsetForLeaderEpochResponse = struct({
  throttleTimeMs: since(2, int32, 0),
  topics: array(
    struct({
      topic: string,
      partitions: array(struct({ errorCode: int16, partition: int32, leaderEpoch: since(1, int32, -1), endOffset: int64 })),
    }),
  ),
})
