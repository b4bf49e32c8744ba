import { array, bool, int16, int32, nullableArray, nullableString, string, struct } from '../codec.ts'

/** CreatePartitions, api key 37. https://kafka.apache.org/protocol.html#The_Messages_CreatePartitions */
export const createPartitionsRequest = struct({
  topics: array(struct({ name: string, count: int32, assignments: nullableArray(struct({ brokerIds: array(int32) })) })),
  timeoutMs: int32,
  validateOnly: bool,
})

export const createPartitionsResponse = struct({
  throttleTimeMs: int32,
  results: array(struct({ name: string, errorCode: int16, errorMessage: nullableString })),
})
