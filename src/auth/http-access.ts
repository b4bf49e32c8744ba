import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { AccessList } from './access.ts'
import type { ClientCertificate } from './client-certificate.ts'
import type { UrlSigner } from './url-signer.ts'

/** One request, as far as it matters here. `authorization` is the header of that name, `certificate` what the client showed over TLS; `url` is the path with its query. */
export type HttpRequest = {
  readonly authorization?: string
  readonly certificate?: ClientCertificate
  readonly method: string
  readonly path: string
  readonly url: string
}

/**
 * Who may do what over HTTP, by Basic credentials (RFC 7617) against the same users as RTSP, or, where there are none in the request, by a client
 * certificate whose common name is a user: looking at a stream takes the right to read it,
 * changing anything takes `admin`. An address that was signed needs no credentials to be read. Without users everything is open.
 */
export class HttpAccess {
  readonly #users: AccessList
  readonly #signer: UrlSigner
  readonly #clock: Clock

  constructor({ users, signer, clock }: { users: AccessList; signer: UrlSigner; clock: Clock }) {
    this.#users = users
    this.#signer = signer
    this.#clock = clock
  }

  /** Gives back the user who asks; undefined where nobody need say. Throws `UNAUTHORIZED` or `FORBIDDEN`. */
  check({ authorization, certificate, method, path, url }: HttpRequest): string | undefined {
    if (!this.#users.isRequired()) return undefined
    if (isRead(method) && this.#signer.isSigned(url)) return undefined
    const user = authorization === undefined && certificate ? this.#certified(certificate) : this.#authenticate(authorization)
    if (!isRead(method) && !this.#users.isAdmin(user))
      throw new AppError('FORBIDDEN', `user "${user}" may look but not change; use one with admin = true`)
    const stream = findStream(path)
    if (stream !== undefined && !this.#users.isAdmin(user) && !this.#users.isAllowed(user, 'read', stream)) {
      throw new AppError('FORBIDDEN', `user "${user}" may not read stream "${stream}"; add it to the user's read list`)
    }
    return user
  }

  /** A connection outlives the certificate that it began with. */
  #certified(certificate: ClientCertificate): string {
    if (certificate.kind === 'refused') throw certificateRefused(certificate.reason)
    const { commonName, expiresAtMs } = certificate
    if (expiresAtMs <= this.#clock.nowMs()) throw certificateRefused('its time is over')
    if (this.#users.hasUser(commonName)) return commonName
    const message = `the client certificate is of "${commonName}", who is no user; declare [[users]] with this name, or present another one`
    throw new AppError('UNAUTHORIZED', message)
  }

  #authenticate(authorization: string | undefined): string {
    const [, encoded = ''] = /^basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '') ?? []
    const [, name, password] = /^([^:]+):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
    const expected = name === undefined ? undefined : this.#users.findPassword(name)
    const isRight = expected !== undefined && password !== undefined && isEqual(password, expected)
    if (name !== undefined && isRight) return name
    throw new AppError('UNAUTHORIZED', 'user and password are missing or wrong; send them as HTTP Basic credentials')
  }
}

function certificateRefused(reason: string): AppError {
  const remedy = 'present one that the authority of tls.clientAuthority signed and that is in time, or send user and password'
  return new AppError('UNAUTHORIZED', `the client certificate is not taken (${reason}); ${remedy}`)
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/** The stream that a path is about: `/hls/<name>/<file>`, `/api/v1/streams/<name>/…`. */
function findStream(path: string): string | undefined {
  const [, api, hls] = /^(?:\/api\/v1\/streams\/([^/]+)|\/hls\/(.+)\/[^/]*$)/.exec(path) ?? []
  const encoded = api ?? hls
  if (encoded === undefined) return undefined
  try {
    return decodeURIComponent(encoded)
  } catch {
    throw new AppError('REQUEST_INVALID', 'the stream name in the path is not URL-encoded text')
  }
}

/** In time that tells nothing of where they differ. */
function isEqual(a: string, b: string): boolean {
  const [first, second] = [Buffer.from(a), Buffer.from(b)]
  return first.length === second.length && timingSafeEqual(first, second)
}
