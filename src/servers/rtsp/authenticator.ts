import { randomBytes } from 'node:crypto'
import { isPasswordShown, parseAuthorization, writeChallenges, type Credentials } from '#formats/rtsp/authentication.ts'
import { findHeader, type RtspRequest } from '#formats/rtsp/message.ts'
import { parseRequestTarget } from '#formats/rtsp/url.ts'
import type { Clock } from '#lib/clock.ts'
import type { Access, StreamAction } from './hub.ts'
import { errorHeaders, type Reply } from './reply.ts'

const realm = 'Millrace'
const nonceLifeMs = 300_000
/** Wrong passwords on one connection before it is closed. */
const maxFailures = 5

type Verdict =
  | { readonly kind: 'allowed'; readonly user: string | undefined }
  | { readonly kind: 'refused'; readonly reply: Reply }

/** Basic and digest authentication of one connection: it has its own nonce, so what was seen on one is of no use on another. */
export class Authenticator {
  readonly #access: Access
  readonly #clock: Clock
  #nonce = ''
  #nonceUntilMs = -Infinity
  #failures = 0

  constructor({ access, clock }: { access: Access; clock: Clock }) {
    this.#access = access
    this.#clock = clock
  }

  /** Wrong passwords so far. */
  get failures(): number {
    return this.#failures
  }

  /** Whether the request may do this to the stream; if not, what to answer. */
  check(request: RtspRequest, action: StreamAction, stream: string): Verdict {
    const header = findHeader(request.headers, 'authorization')
    if (header === undefined) {
      const isOpen = !this.#access.isRequired(action, stream) && this.#access.isAllowed(undefined, action, stream)
      if (isOpen) return { kind: 'allowed', user: undefined }
      return this.#challenge(`to ${action} "${stream}", send a user and a password`)
    }
    const credentials = parseAuthorization(header)
    if (!credentials) return this.#challenge('the Authorization header cannot be read; use Digest with MD5, or Basic')
    if (credentials.scheme === 'digest' && !this.#isCurrent(credentials.nonce)) {
      return this.#challenge('the nonce is too old; use the new one', { isStale: true })
    }
    if (!this.#isGenuine(credentials, request)) return this.#refuseWrong()
    if (this.#access.isAllowed(credentials.username, action, stream)) return { kind: 'allowed', user: credentials.username }
    const message = `user "${credentials.username}" may not ${action} "${stream}"`
    return { kind: 'refused', reply: { status: 403, headers: errorHeaders('FORBIDDEN', message) } }
  }

  #isCurrent(nonce: string): boolean {
    return nonce === this.#nonce && this.#clock.monotonicMs() < this.#nonceUntilMs
  }

  #isGenuine(credentials: Credentials, request: RtspRequest): boolean {
    const password = this.#access.findPassword(credentials.username)
    if (credentials.scheme === 'digest' && !isSameTarget(credentials.uri, request.url)) return false
    // A user that does not exist takes as long as a wrong password.
    return isPasswordShown(credentials, { password: password ?? '', method: request.method }) && password !== undefined
  }

  #refuseWrong(): Verdict {
    this.#failures += 1
    return this.#challenge('wrong user or password', { isLast: this.#failures >= maxFailures })
  }

  #challenge(message: string, { isStale = false, isLast = false } = {}): Verdict {
    if (!this.#isCurrent(this.#nonce)) this.#nonce = randomBytes(16).toString('hex')
    this.#nonceUntilMs = this.#clock.monotonicMs() + nonceLifeMs
    const headers = {
      'WWW-Authenticate': writeChallenges({ realm, nonce: this.#nonce, isStale }),
      ...errorHeaders('UNAUTHORIZED', message),
    }
    return { kind: 'refused', reply: { status: 401, headers, isLast } }
  }
}

/** The digest's `uri` may be absolute, a path, or that of the stream where the request names a track (VLC, HappyTime). */
function isSameTarget(uri: string, requestUrl: string): boolean {
  return parseRequestTarget(uri).path === parseRequestTarget(requestUrl).path
}
