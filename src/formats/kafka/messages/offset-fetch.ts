import {
  array,
  between,
  bool,
  int16,
  int32,
  int64,
  nullableArray,
  nullableString,
  since,
  string,
  struct,
  until,
} from '../codec.ts'

/**
 * OffsetFetch, api key 9. https://kafka.apache.org/protocol.html#The_Messages_OffsetFetch
 * Up to version 7 one group, from version 8 on several in `groups`. Null topics, from version 2 on, ask for all of the group.
 */
export const offsetFetchRequest = struct({
  groupId: until(7, string, ''),
  topics: until(7, nullableArray(struct({ name: string, partitionIndexes: array(int32) }), 2), []),
  groups: since(
    8,
    array(struct({ groupId: string, topics: nullableArray(struct({ name: string, partitionIndexes: array(int32) })) })),
    [],
  ),
  requireStable: since(7, bool, false),
})

const offsetFetchTopics = array(
  struct({
    name: string,
    partitions: array(
      struct({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: since(5, int32, -1),
        metadata: nullableString,
        errorCode: int16,
      }),
    ),
  }),
)

export const offsetFetchResponse = struct({
  throttleTimeMs: since(3, int32, 0),
  topics: until(7, offsetFetchTopics, []),
  errorCode: between(2, 7, int16, 0),
  groups: since(8, array(struct({ groupId: string, topics: offsetFetchTopics, errorCode: int16 })), []),
})
