import {
  array,
  int16,
  int32,
  int64,
  int8,
  nullableArray,
  nullableString,
  records,
  since,
  string,
  struct,
  tagged,
  taggedOrNull,
} from '../codec.ts'

/** Fetch, api key 1. https://kafka.apache.org/protocol.html#The_Messages_Fetch */
export const fetchRequest = struct({
  clusterId: tagged(0, 12, nullableString, null),
  replicaId: int32,
  maxWaitMs: int32,
  minBytes: int32,
  maxBytes: since(3, int32, 0x7fff_ffff),
  isolationLevel: since(4, int8, 0),
  sessionId: since(7, int32, 0),
  sessionEpoch: since(7, int32, -1),
  topics: array(
    struct({
      topic: string,
      partitions: array(
        struct({
          partition: int32,
          currentLeaderEpoch: since(9, int32, -1),
          fetchOffset: int64,
          lastFetchedEpoch: since(12, int32, -1),
          logStartOffset: since(5, int64, -1),
          partitionMaxBytes: int32,
        }),
      ),
    }),
  ),
  forgottenTopicsData: since(7, array(struct({ topic: string, partitions: array(int32) })), []),
  rackId: since(11, string, ''),
})

/** The three tagged fields of a partition read as null, and may be left out, where they have nothing to say. */
export const fetchResponse = struct({
  throttleTimeMs: since(1, int32, 0),
  errorCode: since(7, int16, 0),
  sessionId: since(7, int32, 0),
  responses: array(
    struct({
      topic: string,
      partitions: array(
        struct({
          partitionIndex: int32,
          errorCode: int16,
          highWatermark: int64,
          lastStableOffset: since(4, int64, -1),
          logStartOffset: since(5, int64, -1),
          divergingEpoch: taggedOrNull(0, 12, struct({ epoch: int32, endOffset: int64 })),
          currentLeader: taggedOrNull(1, 12, struct({ leaderId: int32, leaderEpoch: int32 })),
          snapshotId: taggedOrNull(2, 12, struct({ endOffset: int64, epoch: int32 })),
          abortedTransactions: since(4, nullableArray(struct({ producerId: int64, firstOffset: int64 })), null),
          preferredReadReplica: since(11, int32, -1),
          records,
        }),
      ),
    }),
  ),
})
