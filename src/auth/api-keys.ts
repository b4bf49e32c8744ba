import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import type { Database } from '#store/sql/schema.ts'
import { KeyCache } from './key-cache.ts'
import { addKey, type ApiKey, findKey, type HashedKey, listKeys, revokeKey, rotateKey, touchKey } from './key-queries.ts'
import { hashOf, isSameHash, newSecret, readKeyText, writeKeyText } from './key-text.ts'
import { type Rights, rightsOf, type WrittenRights } from './rights.ts'

/** Of those that are not revoked. */
const maxKeys = 1000
/** Rows of revoked keys that stay: whoever still uses one is told that it was revoked, and not that it is wrong. */
const keptRevoked = 1000
/** How exactly it is told when a key was last used. */
const touchMs = 60_000

/** A key with the text that is shown once. */
export type ShownKey = { readonly key: ApiKey; readonly text: string }

export type KeyRequest = { readonly name: string; readonly rights: WrittenRights; readonly expiresAtMs: number | undefined }

/** Whoever has a valid key. */
export type KeyHolder = { readonly name: string; readonly rights: Rights }

/** With its patterns made ready, once for many requests. */
type KnownKey = HashedKey & { readonly holder: KeyHolder }

type Deps = { readonly database: Database; readonly clock: Clock; readonly log: Logger }

/** API keys: made, rotated, revoked, and checked when a request brings one. Only hashes of their secrets are kept. */
export class ApiKeys {
  readonly #database: Database
  readonly #clock: Clock
  readonly #log: Logger
  readonly #cache: KeyCache<KnownKey>
  /** When this process last told that a key was used; of `maxKeys` keys, as there are no more. */
  readonly #touchedAtMs = new Map<string, number>()

  constructor({ database, clock, log }: Deps) {
    this.#database = database
    this.#clock = clock
    this.#log = log
    const load = (id: string): Promise<KnownKey | undefined> => loadKey(database, id)
    this.#cache = new KeyCache({ load, clock, log, maxKeys })
  }

  list(): Promise<ApiKey[]> {
    return listKeys(this.#database.db)
  }

  /** Throws `KEY_EXISTS` or `KEY_LIMIT`. */
  async create({ name, rights, expiresAtMs }: KeyRequest): Promise<ShownKey> {
    const nowMs = this.#clock.nowMs()
    const [id, secret] = [newId(nowMs), newSecret()]
    const made = { id, name, rights, createdAtMs: nowMs, expiresAtMs }
    const outcome = await addKey(this.#database, { ...made, secretHash: hashOf(secret) }, { maxKeys })
    if (outcome === 'full')
      throw new AppError('KEY_LIMIT', `there are ${maxKeys} API keys already; revoke those that nobody uses`)
    if (outcome === 'exists')
      throw new AppError('KEY_EXISTS', `an API key "${name}" exists already; rotate or revoke it, or take another name`)
    const unused = { rotatedAtMs: undefined, previousUntilMs: undefined, lastUsedAtMs: undefined, revokedAtMs: undefined }
    return { key: { ...made, ...unused }, text: writeKeyText({ id, secret }) }
  }

  /** Makes a new secret; the one of now is valid for `overlapMs` more, the one before it no more. Throws `KEY_NOT_FOUND` or `KEY_EXPIRED`. */
  async rotate(id: string, { overlapMs }: { readonly overlapMs: number }): Promise<ShownKey> {
    const nowMs = this.#clock.nowMs()
    const { expiresAtMs = Infinity, ...known } = (await findKey(this.#database.db, id)) ?? throwUnknown(id)
    if (known.revokedAtMs !== undefined) throwUnknown(id)
    if (expiresAtMs <= nowMs)
      throw new AppError('KEY_EXPIRED', `API key "${known.name}" expired at ${isoTime(expiresAtMs)}; revoke it and make another`)
    const secret = newSecret()
    const change = { secretHash: hashOf(secret), previousUntilMs: nowMs + overlapMs, nowMs }
    const key = await rotateKey(this.#database.db, id, change)
    this.#cache.forget(id)
    return key ? { key, text: writeKeyText({ id, secret }) } : throwUnknown(id)
  }

  /** Throws `KEY_NOT_FOUND`. */
  async revoke(id: string): Promise<ApiKey> {
    const key = await revokeKey(this.#database, id, { nowMs: this.#clock.nowMs(), keptRevoked })
    this.#cache.forget(id)
    return key ?? throwUnknown(id)
  }

  /** Whose key this is. Throws `UNAUTHORIZED` for one that is not valid, and `DATABASE_UNAVAILABLE` when that cannot be known. */
  async check(text: string): Promise<KeyHolder> {
    const { id, secret } =
      readKeyText(text) ?? refuse('what was sent is no API key: one looks like mrk_<id>_<secret>; see that all of it was copied')
    const key = await this.#cache.find(id)
    const hash = hashOf(secret)
    const [isNewest, isPrevious] = [isSameHash(hash, key?.secretHash ?? ''), isSameHash(hash, key?.previousHash ?? '')]
    if (!key || (!isNewest && !isPrevious)) return refuse('the API key is wrong; copy it again, or make another')
    this.#requireValid(key, isNewest)
    this.#touch(key)
    return key.holder
  }

  #requireValid({ name, revokedAtMs, expiresAtMs = Infinity, previousUntilMs = 0 }: HashedKey, isNewest: boolean): void {
    const nowMs = this.#clock.nowMs()
    if (revokedAtMs !== undefined) refuse(`API key "${name}" was revoked at ${isoTime(revokedAtMs)}; use another`)
    if (expiresAtMs <= nowMs) refuse(`API key "${name}" expired at ${isoTime(expiresAtMs)}; make another`)
    if (!isNewest && previousUntilMs <= nowMs)
      refuse(`API key "${name}" was rotated, and its old secret was valid until ${isoTime(previousUntilMs)}; use the new one`)
  }

  /** Tells the database at most once a minute; no request waits for that. */
  #touch({ id, lastUsedAtMs = 0 }: HashedKey): void {
    const nowMs = this.#clock.nowMs()
    if (nowMs - Math.max(lastUsedAtMs, this.#touchedAtMs.get(id) ?? 0) < touchMs) return
    this.#touchedAtMs.delete(id)
    this.#touchedAtMs.set(id, nowMs)
    const [oldest] = this.#touchedAtMs.keys()
    if (this.#touchedAtMs.size > maxKeys && oldest !== undefined) this.#touchedAtMs.delete(oldest)
    void touchKey(this.#database.db, id, nowMs).catch((error: unknown) => {
      this.#log.debug({ err: error, keyId: id }, 'when an API key was last used could not be kept')
    })
  }
}

async function loadKey({ db }: Database, id: string): Promise<KnownKey | undefined> {
  const key = await findKey(db, id)
  return key && { ...key, holder: { name: key.name, rights: rightsOf(key.rights) } }
}

function refuse(message: string): never {
  throw new AppError('UNAUTHORIZED', message)
}

function throwUnknown(id: string): never {
  throw new AppError('KEY_NOT_FOUND', `no API key has the id "${id}", or it was revoked`)
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
