import { array, int16, int32, int64, string, struct } from '../codec.ts'

/** DeleteRecords, api key 21. https://kafka.apache.org/protocol.html#The_Messages_DeleteRecords */
export const deleteRecordsRequest = struct({
  topics: array(struct({ name: string, partitions: array(struct({ partitionIndex: int32, offset: int64 })) })),
  timeoutMs: int32,
})

export const deleteRecordsResponse = struct({
  throttleTimeMs: int32,
  topics: array(
    struct({
      name: string,
      partitions: array(struct({ partitionIndex: int32, lowWatermark: int64, errorCode: int16 })),
    }),
  ),
})
