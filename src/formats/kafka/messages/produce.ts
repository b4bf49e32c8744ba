import { array, int16, int32, int64, nullableString, records, since, string, struct } from '../codec.ts'

/**
 * Produce, api key 0. https://kafka.apache.org/protocol.html#The_Messages_Produce
 * From version 3 on `records` is one RecordBatch v2; before, message sets of another format.
 */
export const produceRequest = struct({
  transactionalId: since(3, nullableString, null),
  acks: int16,
  timeoutMs: int32,
  topicData: array(struct({ name: string, partitionData: array(struct({ index: int32, records })) })),
})

export const produceResponse = struct({
  responses: array(
    struct({
      name: string,
      partitionResponses: array(
        struct({
          index: int32,
          errorCode: int16,
          baseOffset: int64,
          logAppendTimeMs: since(2, int64, -1),
          logStartOffset: since(5, int64, -1),
          recordErrors: since(8, array(struct({ batchIndex: int32, batchIndexErrorMessage: nullableString })), []),
          errorMessage: since(8, nullableString, null),
        }),
      ),
    }),
  ),
  throttleTimeMs: since(1, int32, 0),
})
