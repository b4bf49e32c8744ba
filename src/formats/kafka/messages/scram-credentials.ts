import { array, bytes, int16, int32, int8, nullableArray, nullableString, string, struct } from '../codec.ts'

/** DescribeUserScramCredentials, api key 50. Null users ask for all. https://kafka.apache.org/protocol.html#The_Messages_DescribeUserScramCredentials */
export const describeUserScramCredentialsRequest = struct({ users: nullableArray(struct({ name: string })) })

export const describeUserScramCredentialsResponse = struct({
  throttleTimeMs: int32,
  errorCode: int16,
  errorMessage: nullableString,
  results: array(
    struct({
      user: string,
      errorCode: int16,
      errorMessage: nullableString,
      credentialInfos: array(struct({ mechanism: int8, iterations: int32 })),
    }),
  ),
})

/** AlterUserScramCredentials, api key 51. https://kafka.apache.org/protocol.html#The_Messages_AlterUserScramCredentials */
export const alterUserScramCredentialsRequest = struct({
  deletions: array(struct({ name: string, mechanism: int8 })),
  upsertions: array(struct({ name: string, mechanism: int8, iterations: int32, salt: bytes, saltedPassword: bytes })),
})

export const alterUserScramCredentialsResponse = struct({
  throttleTimeMs: int32,
  results: array(struct({ user: string, errorCode: int16, errorMessage: nullableString })),
})
