import { toAppError, type AppError } from '#lib/errors.ts'
import type { Operation, Principal, ResourceType } from './authorizer.ts'
import type { KafkaContext } from './context.ts'
import type { Endpoint } from './endpoint.ts'
import { errorCodeOf, groupErrorCodeOf, kafkaErrors, type KafkaErrorName } from './error-codes.ts'
import type { FetchOrder } from './fetch-order.ts'
import type { Login } from './login.ts'
import type { RepeatedProduces } from './repeated-produce.ts'

/** The connection as handlers see it. */
export interface Client {
  readonly principal: Principal
  /** Where this client is told to connect to. */
  readonly endpoint: Endpoint
  /** Fires when the client is gone or the server stops: nothing should be waited for any more. */
  readonly signal: AbortSignal
  readonly login: Login
  readonly fetchOrder: FetchOrder
  readonly repeated: RepeatedProduces
  /** The answer to this request is the last one. */
  endAfterAnswer(): void
}

/** How a part of an answer says that something failed. */
export type Fault = { readonly errorCode: number; readonly errorMessage: string }

/** One request while it is being handled. */
export class Call {
  readonly context: KafkaContext
  readonly client: Client
  readonly api: string
  readonly version: number
  readonly clientId: string
  /** The request as it came, behind its length. */
  readonly frame: Buffer

  constructor(given: Pick<Call, 'context' | 'client' | 'api' | 'version' | 'clientId' | 'frame'>) {
    this.context = given.context
    this.client = given.client
    this.api = given.api
    this.version = given.version
    this.clientId = given.clientId
    this.frame = given.frame
  }

  isAllowed(operation: Operation, type: ResourceType, name: string): boolean {
    return this.context.authorizer.isAllowed(this.client.principal, operation, type, name)
  }

  /** The code of a refusal, which is counted. */
  refuse(name: KafkaErrorName): number {
    return this.#count(kafkaErrors[name])
  }

  /** The same with a message for people. */
  refusal(name: KafkaErrorName, errorMessage: string): Fault {
    return { errorCode: this.refuse(name), errorMessage }
  }

  /** What was thrown, as the client is told; `code` overrides what the error's own would be. */
  fault(thrown: unknown, overrides: Partial<Record<AppError['code'], KafkaErrorName>> = {}): Fault {
    const error = this.#seen(thrown)
    const override = overrides[error.code]
    return { errorCode: this.#count(override ? kafkaErrors[override] : errorCodeOf(error)), errorMessage: messageOf(error) }
  }

  /** The same in answers about groups. */
  groupFault(thrown: unknown): Fault {
    const error = this.#seen(thrown)
    return { errorCode: this.#count(groupErrorCodeOf(error)), errorMessage: messageOf(error) }
  }

  #count(errorCode: number): number {
    const { errorsByCode } = this.context.counters
    errorsByCode[errorCode] = (errorsByCode[errorCode] ?? 0) + 1
    return errorCode
  }

  #seen(thrown: unknown): AppError {
    const error = toAppError(thrown)
    if (error.code === 'INTERNAL') {
      this.context.counters.failedRequests += 1
      this.context.log.error({ api: this.api, version: this.version, code: error.code, err: error }, 'kafka request failed')
    }
    return error
  }
}

function messageOf(error: AppError): string {
  return error.code === 'INTERNAL' ? 'a fault of the server; its log has the cause' : error.message
}
