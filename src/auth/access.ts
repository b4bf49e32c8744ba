import { randomBytes } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { allRights, isGranted, type Rights, rightsOf, type StreamAction } from './rights.ts'

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

/** Name and password of the process itself. */
export type OwnCredentials = { readonly name: string; readonly password: string }

type Grant = { readonly password: string | undefined; readonly rights: Rights }

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
    this.#grants = new Map(users.map((user) => [user.name, { password: user.password, rights: rightsOf(user) }]))
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

  findRights(user: string): Rights | undefined {
    return user === ownName ? allRights : this.#grants.get(user)?.rights
  }

  isAdmin(user: string): boolean {
    return this.findRights(user)?.isAdmin ?? false
  }

  isAllowed(user: string | undefined, action: StreamAction, stream: string): boolean {
    if (!this.isRequired()) return true
    const rights = user === undefined ? undefined : this.findRights(user)
    return rights !== undefined && isGranted(rights, action, stream)
  }
}
