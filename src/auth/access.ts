import { randomBytes } from 'node:crypto'
import { Type, type Static } from 'typebox'

/** One `[[users]]` entry. Names of streams may hold `*`, which stands for anything. */
export const userSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, pattern: '^[^:"\\s]+$', description: 'Letters without space, colon or quote.' }),
    password: Type.Optional(
      Type.String({
        minLength: 1,
        secret: true,
        description: 'The password; best written as ${VARIABLE}. Without one the user gets in by a client certificate only.',
      }),
    ),
    publish: Type.Array(Type.String(), { default: [], description: 'Streams that the user may publish, such as "site-1/*".' }),
    read: Type.Array(Type.String(), { default: ['*'], description: 'Streams that the user may read.' }),
    admin: Type.Boolean({ default: false, description: 'The user may see and change everything by API.' }),
  },
  { additionalProperties: false },
)
export type User = Static<typeof userSchema>

export type StreamAction = 'publish' | 'read'

/** Name and password of the process itself. */
export type OwnCredentials = { readonly name: string; readonly password: string }

type Grant = {
  readonly password: string | undefined
  readonly isAdmin: boolean
  readonly patterns: Record<StreamAction, readonly RegExp[]>
}

/** Not among the names that a user may have. */
const ownName = 'millrace internal'

/** Who may publish and read what. Without users everything is open: the servers then listen on loopback only. */
export class AccessList {
  #grants = new Map<string, Grant>()
  /** By which parts of this process reach each other: may do everything, and is no user that anybody could write down. */
  readonly own: OwnCredentials = { name: ownName, password: randomBytes(24).toString('base64url') }

  constructor(users: readonly User[]) {
    this.replace(users)
  }

  /** Takes on other users; connections that are open stay. */
  replace(users: readonly User[]): void {
    this.#grants = new Map(
      users.map(({ name, password, publish, read, admin }) => [
        name,
        { password, isAdmin: admin, patterns: { publish: publish.map(toPattern), read: read.map(toPattern) } },
      ]),
    )
  }

  /** Credentials are needed, for whatever stream and action. */
  isRequired(): boolean {
    return this.#grants.size > 0
  }

  /** Whether somebody may be this user; never the process itself. */
  hasUser(user: string): boolean {
    return this.#grants.has(user)
  }

  /** Undefined: there is no such user, or one without a password, whom no password lets in. */
  findPassword(user: string): string | undefined {
    if (user === ownName) return this.own.password
    return this.#grants.get(user)?.password
  }

  isAdmin(user: string): boolean {
    if (user === ownName) return true
    return this.#grants.get(user)?.isAdmin ?? false
  }

  isAllowed(user: string | undefined, action: StreamAction, stream: string): boolean {
    if (!this.isRequired() || user === ownName) return true
    const grant = user === undefined ? undefined : this.#grants.get(user)
    return grant?.patterns[action].some((pattern) => pattern.test(stream)) ?? false
  }
}

function toPattern(text: string): RegExp {
  const parts = text.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}
