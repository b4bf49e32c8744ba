import { toAppError } from '#lib/errors.ts'
import type { Credentials } from './credentials.ts'
import { findMechanism, SaslExchange, type SaslStep } from './sasl.ts'

/** Who a connection has shown to be. A second login on it (KIP-368) must be that of the same user. */
export class Login {
  readonly #credentials: Credentials
  #user: string | undefined
  #exchange: { readonly sasl: SaslExchange; readonly isRaw: boolean } | undefined

  constructor({ credentials }: { credentials: Credentials }) {
    this.#credentials = credentials
  }

  /** Once logged in. */
  get user(): string | undefined {
    return this.#user
  }
  /** Frames are tokens and not requests: the client chose the mechanism with SaslHandshake version 0. */
  get isRaw(): boolean {
    return this.#exchange?.isRaw ?? false
  }
  get mechanism(): string | undefined {
    return this.#exchange?.sasl.mechanism
  }

  /** Begins a login; false: there is no such mechanism. */
  choose(name: string, options: { isRaw: boolean }): boolean {
    const mechanism = findMechanism(name)
    if (!mechanism) return false
    this.#exchange = { sasl: new SaslExchange({ mechanism, credentials: this.#credentials }), isRaw: options.isRaw }
    return true
  }

  /** Takes a token of the client; `undefined`: none was expected. Throws `LIMIT_EXCEEDED` when too many log in at once. */
  async take(token: Buffer): Promise<SaslStep | undefined> {
    const exchange = this.#exchange
    if (!exchange) return undefined
    const step = await exchange.sasl.take(token).catch(refusedOf)
    if (step.kind !== 'continue') this.#exchange = undefined
    if (step.kind !== 'done') return step
    if (this.#user !== undefined && this.#user !== step.user) return { kind: 'failed', user: step.user }
    this.#user = step.user
    return step
  }
}

/** A token that cannot be read is a login that failed. */
function refusedOf(thrown: unknown): SaslStep {
  const error = toAppError(thrown)
  if (error.code === 'MALFORMED' || error.code === 'UNSUPPORTED') return { kind: 'failed', user: undefined }
  throw error
}
