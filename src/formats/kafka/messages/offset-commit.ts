import { array, between, int16, int32, int64, nullableString, since, string, struct } from '../codec.ts'

/** OffsetCommit, api key 8. https://kafka.apache.org/protocol.html#The_Messages_OffsetCommit */
export const offsetCommitRequest = struct({
  groupId: string,
  generationIdOrMemberEpoch: since(1, int32, -1),
  memberId: since(1, string, ''),
  groupInstanceId: since(7, nullableString, null),
  retentionTimeMs: between(2, 4, int64, -1),
  topics: array(
    struct({
      name: string,
      partitions: array(
        struct({
          partitionIndex: int32,
          committedOffset: int64,
          committedLeaderEpoch: since(6, int32, -1),
          committedMetadata: nullableString,
        }),
      ),
    }),
  ),
})

export const offsetCommitResponse = struct({
  throttleTimeMs: since(3, int32, 0),
  topics: array(struct({ name: string, partitions: array(struct({ partitionIndex: int32, errorCode: int16 })) })),
})
