import type { ApiName, RequestOf, ResponseInputOf } from '#formats/kafka/apis.ts'
import type { Call } from './call.ts'

/**
 * Carries out one request. Refusals of parts are in the answer; what is thrown ends the connection. `undefined`: the client wants no answer.
 */
export type Handler<N extends ApiName> = (
  request: RequestOf<N>,
  call: Call,
) => ResponseInputOf<N> | undefined | Promise<ResponseInputOf<N> | undefined>
