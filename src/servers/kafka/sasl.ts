import type { Credentials } from './credentials.ts'
import { challenge, parseClientFirst, verifyFinal, type ScramChallenge, type ScramMechanism } from './scram.ts'

/** The mechanisms that clients may choose from. */
export const saslMechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
export type SaslMechanism = (typeof saslMechanisms)[number]

/** What to answer to a token. `failed` says nothing more to the client, lest it learn who exists. */
export type SaslStep =
  | { readonly kind: 'continue'; readonly token: Buffer }
  | { readonly kind: 'done'; readonly token: Buffer; readonly user: string }
  | { readonly kind: 'failed'; readonly user: string | undefined }

type State =
  | { readonly kind: 'first' }
  | { readonly kind: 'challenged'; readonly mechanism: ScramMechanism; readonly user: string; readonly challenge: ScramChallenge }
  | { readonly kind: 'over' }

/**
 * One login, RFC 4422:
 *
 *   first ── PLAIN token ─────────────────────────────► over
 *     └───── SCRAM client-first ──► challenged ── final ──► over
 */
export class SaslExchange {
  readonly mechanism: SaslMechanism
  readonly #credentials: Credentials
  #state: State = { kind: 'first' }

  constructor({ mechanism, credentials }: { mechanism: SaslMechanism; credentials: Credentials }) {
    this.mechanism = mechanism
    this.#credentials = credentials
  }

  /** Throws `MALFORMED`, `UNSUPPORTED`, `LIMIT_EXCEEDED`; the login is over then. */
  async take(token: Buffer): Promise<SaslStep> {
    const state = this.#state
    this.#state = { kind: 'over' }
    switch (state.kind) {
      case 'first':
        return this.mechanism === 'PLAIN' ? this.#plain(token) : this.#first(this.mechanism, token)
      case 'challenged':
        return judge(state, token)
      case 'over':
        return { kind: 'failed', user: undefined }
      default:
        return state satisfies never
    }
  }

  /** RFC 4616: authorization id, user and password, with NUL between them. */
  async #plain(token: Buffer): Promise<SaslStep> {
    const [identity = '', user = '', password = '', ...more] = token.toString().split('\0')
    const isForm = more.length === 0 && user !== '' && password !== '' && (identity === '' || identity === user)
    const isRight = isForm && (await this.#credentials.isPassword(user, password))
    return isRight ? { kind: 'done', token: Buffer.alloc(0), user } : { kind: 'failed', user: user.slice(0, 100) }
  }

  async #first(mechanism: ScramMechanism, token: Buffer): Promise<SaslStep> {
    const first = parseClientFirst(token.toString())
    const given = challenge(first, await this.#credentials.findScram(first.user, mechanism))
    this.#state = { kind: 'challenged', mechanism, user: first.user, challenge: given }
    return { kind: 'continue', token: Buffer.from(given.text) }
  }
}

function judge({ mechanism, user, challenge: given }: State & { kind: 'challenged' }, token: Buffer): SaslStep {
  const proof = verifyFinal(mechanism, given, token.toString())
  return proof === undefined ? { kind: 'failed', user: user.slice(0, 100) } : { kind: 'done', token: Buffer.from(proof), user }
}

/** The mechanism with this name, if it is one that Millrace has. */
export function findMechanism(name: string): SaslMechanism | undefined {
  return saslMechanisms.find((known) => known === name)
}
