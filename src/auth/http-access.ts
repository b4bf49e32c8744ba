import { timingSafeEqual } from 'node:crypto'
import { AppError } from '#lib/errors.ts'
import type { AccessList } from './access.ts'
import type { UrlSigner } from './url-signer.ts'

/** One request, as far as it matters here. `authorization` is the header of that name; `url` is the path with its query. */
export type HttpRequest = {
  readonly authorization?: string
  readonly method: string
  readonly path: string
  readonly url: string
}

/**
 * Who may do what over HTTP, by Basic credentials (RFC 7617) against the same users as RTSP: looking at a stream takes the right to read it,
 * changing anything takes `admin`. An address that was signed needs no credentials to be read. Without users everything is open.
 */
export class HttpAccess {
  readonly #users: AccessList
  readonly #signer: UrlSigner

  constructor({ users, signer }: { users: AccessList; signer: UrlSigner }) {
    this.#users = users
    this.#signer = signer
  }

  /** Gives back the user who asks; undefined where nobody need say. Throws `UNAUTHORIZED` or `FORBIDDEN`. */
  check({ authorization, method, path, url }: HttpRequest): string | undefined {
    if (!this.#users.isRequired()) return undefined
    if (isRead(method) && this.#signer.isSigned(url)) return undefined
    const user = this.#authenticate(authorization)
    if (user === undefined)
      throw new AppError('UNAUTHORIZED', 'user and password are missing or wrong; send them as HTTP Basic credentials')
    if (!isRead(method) && !this.#users.isAdmin(user))
      throw new AppError('FORBIDDEN', `user "${user}" may look but not change; use one with admin = true`)
    const stream = findStream(path)
    if (stream !== undefined && !this.#users.isAdmin(user) && !this.#users.isAllowed(user, 'read', stream)) {
      throw new AppError('FORBIDDEN', `user "${user}" may not read stream "${stream}"; add it to the user's read list`)
    }
    return user
  }

  #authenticate(authorization: string | undefined): string | undefined {
    const [, encoded = ''] = /^basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '') ?? []
    const [, name, password] = /^([^:]+):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
    if (name === undefined || password === undefined) return undefined
    const expected = this.#users.findPassword(name)
    return expected !== undefined && isEqual(password, expected) ? name : undefined
  }
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
