import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { isLoopback } from '#lib/loopback.ts'
import type { AccessList } from './access.ts'
import type { ClientCertificate } from './client-certificate.ts'
import { isGranted, type Rights } from './rights.ts'
import type { UrlSigner } from './url-signer.ts'

/** One request, as far as it matters here. `authorization` is the header of that name, `certificate` what the client showed over TLS; `url` is the path with its query. */
export type HttpRequest = {
  readonly authorization?: string
  readonly certificate?: ClientCertificate
  readonly method: string
  readonly path: string
  readonly url: string
  readonly remoteAddress: string
  /** A page in a browser asks, whosever it is. */
  readonly isPage: boolean
  /** Looking, too, takes `admin`. */
  readonly isForAdmins: boolean
}

/** Who asks, as logs name him. */
type Caller = { readonly name: string; readonly rights: Rights }

/** Checks the keys that requests bring. */
interface KeyChecker {
  /** Throws `UNAUTHORIZED`, or `DATABASE_UNAVAILABLE` when that cannot be known. */
  check(text: string): Promise<Caller>
}

/**
 * Who may do what over HTTP: looking at a stream takes the right to read it, changing anything takes `admin`. Users are those of RTSP. They come with Basic
 * credentials (RFC 7617), or with an API key as Bearer token (RFC 6750), or, where a request has neither, with a client certificate whose common name is
 * theirs. An address that was signed needs no credentials to be read. Without users everything is open, and keys are not looked at.
 */
export class HttpAccess {
  readonly #users: AccessList
  readonly #keys: KeyChecker
  readonly #signer: UrlSigner
  readonly #clock: Clock

  constructor({ users, keys, signer, clock }: { users: AccessList; keys: KeyChecker; signer: UrlSigner; clock: Clock }) {
    this.#users = users
    this.#keys = keys
    this.#signer = signer
    this.#clock = clock
  }

  /** Gives back the name of the user, or `key:<name>`; undefined where nobody need say. Throws `UNAUTHORIZED` or `FORBIDDEN`. */
  async check(request: HttpRequest): Promise<string | undefined> {
    const { method, path, url, isForAdmins } = request
    if (!this.#users.isRequired()) {
      if (isForAdmins) requireLocal(request)
      return undefined
    }
    if (!isForAdmins && isRead(method) && this.#signer.isSigned(url)) return undefined
    const { name, rights } = (await this.#authenticate(request)) ?? refuseUnknown()
    if (rights.isAdmin) return name
    if (isForAdmins || !isRead(method)) {
      const allowed = isForAdmins ? 'is no admin' : 'may look but not change'
      throw new AppError('FORBIDDEN', `user "${name}" ${allowed}; use one with admin = true`)
    }
    const stream = findStream(path)
    if (stream !== undefined && !isGranted(rights, 'read', stream)) {
      throw new AppError('FORBIDDEN', `user "${name}" may not read stream "${stream}"; add it to the user's read list`)
    }
    return name
  }

  async #authenticate({ authorization, certificate }: HttpRequest): Promise<Caller | undefined> {
    if (authorization === undefined) return certificate && this.#certified(certificate)
    const [, key] = /^bearer +(\S+)$/i.exec(authorization) ?? []
    if (key === undefined) return this.#findUser(authorization)
    const { name, rights } = await this.#keys.check(key)
    // No user can have such a name.
    return { name: `key:${name}`, rights }
  }

  /** A connection outlives the certificate that it began with. */
  #certified(certificate: ClientCertificate): Caller {
    if (certificate.kind === 'refused') throw certificateRefused(certificate.reason)
    const { commonName: name, expiresAtMs } = certificate
    if (expiresAtMs <= this.#clock.nowMs()) throw certificateRefused('its time is over')
    const rights = this.#users.hasUser(name) ? this.#users.findRights(name) : undefined
    if (rights) return { name, rights }
    const message = `the client certificate is of "${name}", who is no user; declare [[users]] with this name, or present another one`
    throw new AppError('UNAUTHORIZED', message)
  }

  #findUser(authorization: string): Caller | undefined {
    const [, encoded = ''] = /^basic +([A-Za-z0-9+/=]+)$/i.exec(authorization) ?? []
    const [, name, password] = /^([^:]+):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
    if (name === undefined || password === undefined) return undefined
    const [expected, rights] = [this.#users.findPassword(name), this.#users.findRights(name)]
    return expected !== undefined && rights && isEqual(password, expected) ? { name, rights } : undefined
  }
}

function certificateRefused(reason: string): AppError {
  const remedy = 'present one that the authority of tls.clientAuthority signed and that is in time, or send user and password'
  return new AppError('UNAUTHORIZED', `the client certificate is not taken (${reason}); ${remedy}`)
}

function refuseUnknown(): never {
  throw new AppError(
    'UNAUTHORIZED',
    'user and password are missing or wrong; send them as HTTP Basic credentials, or an API key as Bearer token',
  )
}

/** Keys outlive the moment in which nobody needs one: where nobody has a name, they are made on this machine alone. */
function requireLocal({ remoteAddress, isPage }: HttpRequest): void {
  if (isPage) throw new AppError('FORBIDDEN', 'a page may not do this without a user; use "millrace keys", or curl')
  if (isLoopback(remoteAddress)) return
  throw new AppError(
    'FORBIDDEN',
    `${remoteAddress} may not do this without a user; ask on the machine itself, or the API of a server that has [[users]]`,
  )
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
