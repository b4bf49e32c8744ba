import { array, int16, int32, string, struct } from '../codec.ts'

/** OffsetDelete, api key 47. https://kafka.apache.org/protocol.html#The_Messages_OffsetDelete */
export const offsetDeleteRequest = struct({
  groupId: string,
  topics: array(struct({ name: string, partitions: array(struct({ partitionIndex: int32 })) })),
})

export const offsetDeleteResponse = struct({
  errorCode: int16,
  throttleTimeMs: int32,
  topics: array(struct({ name: string, partitions: array(struct({ partitionIndex: int32, errorCode: int16 })) })),
})
