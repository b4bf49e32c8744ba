import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { ScramRow } from '#eventlog/metadata/log-metadata.ts'
import { Limiter } from './limiter.ts'
import type { Access, SecurityStore } from './log-hub.ts'
import { defaultIterations, deriveCredential, isEqual, type ScramCredential, type ScramMechanism } from './scram.ts'

/** PBKDF2 keeps a thread busy for milliseconds; the threads are shared with the disk. */
const maxDerivations = 2
const maxWaitingDerivations = 200

type Derived = { readonly password: string; readonly credential: Promise<ScramCredential> }

/**
 * Passwords and SCRAM credentials: those of the users in the configuration, and those that administrators stored. A user of the configuration hides a
 * stored one of the same name.
 */
export class Credentials {
  readonly #access: Access
  readonly #store: SecurityStore
  readonly #stored = new Map<string, ScramRow>()
  readonly #derived = new Map<string, Derived>()
  readonly #derivations = new Limiter({ concurrency: maxDerivations, maxWaiting: maxWaitingDerivations })
  /** Salts come from here, so that a user who does not exist has one too, and always the same. */
  readonly #saltKey = randomBytes(32)

  private constructor({ access, store }: { access: Access; store: SecurityStore }) {
    this.#access = access
    this.#store = store
  }

  /** Throws `DATABASE_UNAVAILABLE`. */
  static async load(deps: { access: Access; store: SecurityStore }): Promise<Credentials> {
    const credentials = new Credentials(deps)
    for (const row of await deps.store.loadScramCredentials()) credentials.#stored.set(keyOf(row), row)
    return credentials
  }

  /** The credentials that administrators stored. */
  get stored(): readonly ScramRow[] {
    return [...this.#stored.values()]
  }

  /** Whether the configuration has this user. */
  isConfigured(user: string): boolean {
    return this.#access.hasUser(user) || this.#access.findPassword(user) !== undefined
  }

  async save(row: ScramRow): Promise<void> {
    await this.#store.saveScramCredential(row)
    this.#stored.set(keyOf(row), row)
  }

  /** False: it was not there. */
  async delete(ref: Pick<ScramRow, 'user' | 'mechanism'>): Promise<boolean> {
    const wasThere = await this.#store.deleteScramCredential(ref)
    this.#stored.delete(keyOf(ref))
    return wasThere
  }

  /** For a user who does not exist, one that no password fits: nobody learns from the first message who does. */
  async findScram(user: string, mechanism: ScramMechanism): Promise<ScramCredential> {
    const password = this.#access.findPassword(user)
    if (password !== undefined) return this.#derive({ user, mechanism, password })
    const stored = this.isConfigured(user) ? undefined : this.#stored.get(keyOf({ user, mechanism }))
    return stored ?? this.#impossible(user, mechanism)
  }

  /** Whether this is the user's password. */
  async isPassword(user: string, password: string): Promise<boolean> {
    const configured = this.#access.findPassword(user)
    if (configured !== undefined) return isEqual(digest(password), digest(configured))
    // Has no password on purpose.
    if (this.isConfigured(user)) return false
    const row =
      this.#stored.get(keyOf({ user, mechanism: 'SCRAM-SHA-512' })) ??
      this.#stored.get(keyOf({ user, mechanism: 'SCRAM-SHA-256' }))
    if (!row) return false
    const { storedKey } = await this.#derivations.run(() => deriveCredential(row.mechanism, { ...row, password }))
    return isEqual(storedKey, row.storedKey)
  }

  /** Derived once for each user and mechanism while the password stays. */
  #derive({
    user,
    mechanism,
    password,
  }: {
    user: string
    mechanism: ScramMechanism
    password: string
  }): Promise<ScramCredential> {
    const key = keyOf({ user, mechanism })
    const known = this.#derived.get(key)
    if (known?.password === password) return known.credential
    const salt = this.#saltOf(key)
    const credential = this.#derivations.run(() => deriveCredential(mechanism, { password, salt, iterations: defaultIterations }))
    this.#derived.set(key, { password, credential })
    credential.catch(() => this.#derived.delete(key))
    return credential
  }

  #impossible(user: string, mechanism: ScramMechanism): ScramCredential {
    const key = randomBytes(mechanism === 'SCRAM-SHA-256' ? 32 : 64)
    return { salt: this.#saltOf(keyOf({ user, mechanism })), storedKey: key, serverKey: key, iterations: defaultIterations }
  }

  #saltOf(key: string): Buffer {
    return createHmac('sha256', this.#saltKey).update(key).digest().subarray(0, 24)
  }
}

function keyOf({ user, mechanism }: Pick<ScramRow, 'user' | 'mechanism'>): string {
  return `${mechanism} ${user}`
}

function digest(password: string): Buffer {
  return createHash('sha256').update(password).digest()
}
