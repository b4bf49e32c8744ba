import { array, between, int16, int32, int8, nullableString, since, string, struct, until } from '../codec.ts'

/** FindCoordinator, api key 10: of one key, from version 4 on of several. https://kafka.apache.org/protocol.html#The_Messages_FindCoordinator */
export const findCoordinatorRequest = struct({
  key: until(3, string, ''),
  keyType: since(1, int8, 0),
  coordinatorKeys: since(4, array(string), []),
})

export const findCoordinatorResponse = struct({
  throttleTimeMs: since(1, int32, 0),
  errorCode: until(3, int16, 0),
  errorMessage: between(1, 3, nullableString, null),
  nodeId: until(3, int32, -1),
  host: until(3, string, ''),
  port: until(3, int32, -1),
  coordinators: since(
    4,
    array(struct({ key: string, nodeId: int32, host: string, port: int32, errorCode: int16, errorMessage: nullableString })),
    [],
  ),
})
