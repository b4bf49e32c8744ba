import {
  array,
  int16,
  int32,
  nullableString,
  since,
  string,
  stringNullableSince,
  struct,
  until,
  uuid,
  zeroUuid,
} from '../codec.ts'

/** DeleteTopics, api key 20: by name, from version 6 on by name or id. https://kafka.apache.org/protocol.html#The_Messages_DeleteTopics */
export const deleteTopicsRequest = struct({
  topics: since(6, array(struct({ name: nullableString, topicId: uuid })), []),
  topicNames: until(5, array(string), []),
  timeoutMs: int32,
})

export const deleteTopicsResponse = struct({
  throttleTimeMs: since(1, int32, 0),
  responses: array(
    struct({
      name: stringNullableSince(6),
      topicId: since(6, uuid, zeroUuid),
      errorCode: int16,
      errorMessage: since(5, nullableString, null),
    }),
  ),
})
