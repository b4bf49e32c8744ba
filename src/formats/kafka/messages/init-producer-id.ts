import { int16, int32, int64, nullableString, since, struct } from '../codec.ts'

/** InitProducerId, api key 22. https://kafka.apache.org/protocol.html#The_Messages_InitProducerId */
export const initProducerIdRequest = struct({
  transactionalId: nullableString,
  transactionTimeoutMs: int32,
  producerId: since(3, int64, -1),
  producerEpoch: since(3, int16, -1),
})

export const initProducerIdResponse = struct({
  throttleTimeMs: int32,
  errorCode: int16,
  producerId: int64,
  producerEpoch: int16,
})
