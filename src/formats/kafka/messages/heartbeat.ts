import { int16, int32, nullableString, since, string, struct } from '../codec.ts'

/** Heartbeat, api key 12. https://kafka.apache.org/protocol.html#The_Messages_Heartbeat */
export const heartbeatRequest = struct({
  groupId: string,
  generationId: int32,
  memberId: string,
  groupInstanceId: since(3, nullableString, null),
})

export const heartbeatResponse = struct({ throttleTimeMs: since(1, int32, 0), errorCode: int16 })
