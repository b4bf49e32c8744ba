import { array, bytes, int16, int64, nullableString, since, string, struct } from '../codec.ts'

/** SaslHandshake, api key 17. https://kafka.apache.org/protocol.html#The_Messages_SaslHandshake */
export const saslHandshakeRequest = struct({ mechanism: string })
export const saslHandshakeResponse = struct({ errorCode: int16, mechanisms: array(string) })

/** SaslAuthenticate, api key 36. https://kafka.apache.org/protocol.html#The_Messages_SaslAuthenticate */
export const saslAuthenticateRequest = struct({ authBytes: bytes })
export const saslAuthenticateResponse = struct({
  errorCode: int16,
  errorMessage: nullableString,
  authBytes: bytes,
  sessionLifetimeMs: since(1, int64, 0),
})
