import { isPasswordShown, parseAuthorization } from '#formats/rtsp/authentication.ts'
import { AppError } from '#lib/errors.ts'
import type { Access } from './log-hub.ts'

/** What a method needs: nothing, any user, or one who may change things. */
export type Right = 'none' | 'read' | 'change'

/** Wrong passwords on one connection before it is closed. */
const maxFailures = 5

/** Basic authentication (RFC 7617) of the calls of one connection. */
export class Authenticator {
  readonly #access: Access
  #failures = 0
  /** What was right before is not computed again. */
  #known: { readonly header: string; readonly user: string; readonly password: string } | undefined

  constructor({ access }: { access: Access }) {
    this.#access = access
  }

  /** This many wrong passwords are no mistake. */
  get isExhausted(): boolean {
    return this.#failures >= maxFailures
  }

  /** The user who calls, if anybody needs to be one. Throws `UNAUTHORIZED`, `FORBIDDEN`. */
  check(header: string | undefined, right: Right): string | undefined {
    if (right === 'none' || !this.#access.isRequired()) return undefined
    if (header === undefined) {
      throw new AppError('UNAUTHORIZED', 'this server wants to know who calls; send the metadata "authorization: Basic …"')
    }
    const user = this.#identify(header)
    if (right === 'read' || this.#access.isAdmin(user)) return user
    throw new AppError('FORBIDDEN', `user "${user}" may read only; producing and changing is for administrators`)
  }

  #identify(header: string): string {
    const known = this.#known
    if (known?.header === header && this.#access.findPassword(known.user) === known.password) return known.user
    const credentials = parseAuthorization(header)
    if (credentials?.scheme !== 'basic') {
      throw new AppError('UNAUTHORIZED', 'the metadata "authorization" cannot be read; send "Basic" and base64 of user:password')
    }
    const { username: user } = credentials
    const password = this.#access.findPassword(user)
    // A user that does not exist takes as long as a wrong password.
    const isRight = isPasswordShown(credentials, { password: password ?? '', method: '' }) && password !== undefined
    if (!isRight) {
      this.#failures += 1
      throw new AppError('UNAUTHORIZED', 'wrong user or password')
    }
    this.#known = { header, user, password }
    return user
  }
}
