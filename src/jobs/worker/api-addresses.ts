import type { Agent } from 'node:https'
import { Type } from 'typebox'
import { Check } from 'typebox/value'
import { authorizationOf, credentialOf } from '#lib/authorization.ts'
import { AppError, errorTable, type ErrorCode } from '#lib/errors.ts'
import { explainDistrust } from '#lib/tls-distrust.ts'
import { postJson } from './post-json.ts'
import type { TlsConnections } from './worker-tls.ts'

const errorBodySchema = Type.Object({
  code: Type.String(),
  message: Type.String(),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})
/** Answers that another try, or another node of the API, may not give. */
const passingStatuses = new Set([408, 425, 429, 500, 502, 503, 504])

export type ApiAnswer = { readonly value: unknown; readonly base: URL }
type Headers = Readonly<Record<string, string>>
type Message = { readonly json: string; readonly headers: Headers }
type Address = { readonly base: URL; readonly headers: Headers }

/** Where the API is: one or several nodes of it. A request goes to the one that answered last; when it does not, to the next. */
export class ApiAddresses {
  readonly #addresses: readonly Address[]
  readonly #tls: Pick<TlsConnections, 'agent'> | undefined
  #current = 0
  #failureCount = 0

  /** `USAGE` when one is no address, or there is none. */
  constructor(urls: readonly string[], credential?: string, tls?: Pick<TlsConnections, 'agent'>) {
    this.#tls = tls
    this.#addresses = urls.map((url) => parseAddress(url, credential))
    if (this.#addresses.length === 0) throw new AppError('USAGE', 'a worker needs the address of an API; set worker.urls')
  }

  get failureCount(): number {
    return this.#failureCount
  }

  get count(): number {
    return this.#addresses.length
  }

  /** The JSON of the answer, and the address that gave it: URLs in it may begin with "/". Throws `API_UNREACHABLE` when no address gives one, the server's own error, or the reason of a fired signal. */
  async post(path: string, { signalOf, ...message }: Message & { readonly signalOf: () => AbortSignal }): Promise<ApiAnswer> {
    let last: AppError | undefined
    for (let tried = 0; tried < this.#addresses.length; tried++) {
      const index = (this.#current + tried) % this.#addresses.length
      const outcome = await postTo(this.#at(index), path, { ...message, signal: signalOf(), agent: this.#tls?.agent })
      if (outcome.kind === 'answered') {
        this.#current = index
        return { value: outcome.value, base: this.#at(index).base }
      }
      this.#failureCount += 1
      last = outcome.error
    }
    throw last ?? new AppError('INTERNAL', 'there is no address of an API')
  }

  #at(index: number): Address {
    const address = this.#addresses[index]
    if (!address) throw new AppError('INTERNAL', `there is no address ${index} of an API`)
    return address
  }
}

function parseAddress(url: string, credential: string | undefined): Address {
  const base = URL.parse(url)
  if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
    throw new AppError('USAGE', `"${url}" is no address of an API; write for example http://127.0.0.1:3000`)
  }
  const own = credentialOf(base) ?? credential
  base.username = ''
  base.password = ''
  return { base, headers: own === undefined ? {} : { authorization: authorizationOf(own) } }
}

type Outcome = { readonly kind: 'answered'; readonly value: unknown } | { readonly kind: 'away'; readonly error: AppError }

async function postTo(
  { base, headers: own }: Address,
  path: string,
  { json, headers, signal, agent }: Message & { readonly signal: AbortSignal; readonly agent: Agent | undefined },
): Promise<Outcome> {
  const url = new URL(`${base.pathname.replace(/\/$/, '')}/api/v1/${path}`, base)
  try {
    const { status, text } = await postJson(url, { json, headers: { ...headers, ...own }, signal, agent })
    if (status >= 200 && status < 300) return { kind: 'answered', value: text === '' ? null : parseJson(text) }
    return refusal(base, status, parseJson(text))
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    if (signal.aborted && !isTimeout(signal.reason)) throw signal.reason
    return { kind: 'away', error: distrusted(base, cause) ?? unreachable(base, reasonOf(cause), cause) }
  }
}

/** What the server refuses for good is thrown. */
function refusal(base: URL, status: number, body: unknown): Outcome {
  if (!Check(errorBodySchema, body)) {
    return { kind: 'away', error: unreachable(base, `status ${status} from something else`) }
  }
  if (passingStatuses.has(status)) return { kind: 'away', error: unreachable(base, `${body.code}: ${body.message}`) }
  throw new AppError(isErrorCode(body.code) ? body.code : 'INTERNAL', body.message, body.details && { details: body.details })
}

function unreachable(base: URL, reason: string, cause?: unknown): AppError {
  return new AppError('API_UNREACHABLE', `no API answers at ${base.origin} (${reason}); check worker.urls`, { cause })
}

/** It may be renewed while the worker waits. */
function distrusted(base: URL, cause: unknown): AppError | undefined {
  const reason = explainDistrust(cause, 'worker.authority')
  return reason === undefined
    ? undefined
    : new AppError('API_UNREACHABLE', `the API at ${base.origin} is not trusted: ${reason}`, { cause })
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code)
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  return thrown.cause instanceof Error ? thrown.cause.message : thrown.message
}
