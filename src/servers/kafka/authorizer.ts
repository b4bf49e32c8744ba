import type { AclRow } from '#eventlog/metadata/log-metadata.ts'
import { AppError } from '#lib/errors.ts'
import { Limiter } from './limiter.ts'
import type { Access, SecurityStore } from './log-hub.ts'

/** What a rule may be about, in the words that are stored. */
export const operations = [
  'all',
  'read',
  'write',
  'create',
  'delete',
  'alter',
  'describe',
  'cluster-action',
  'describe-configs',
  'alter-configs',
  'idempotent-write',
] as const
export type Operation = (typeof operations)[number]
export type ResourceType = AclRow['resourceType']

/** Who asks: `user` is undefined for whoever has not logged in. */
export type Principal = { readonly user: string | undefined; readonly host: string }

/** The one resource of type `cluster`. */
export const clusterName = 'kafka-cluster'
const everything = '*'
const everyone = 'User:*'
const maxRules = 10_000
const maxWaitingChanges = 100

/** Whoever may do one of these may also do what they stand under. */
const impliedBy: Partial<Record<Operation, readonly string[]>> = {
  describe: ['read', 'write', 'delete', 'alter'],
  'describe-configs': ['alter-configs'],
}

/**
 * Who may do what to topics, groups and the cluster. While nobody needs credentials everything is allowed; then administrators may do everything, others
 * what a rule allows and none denies.
 */
export class Authorizer {
  readonly #access: Access
  readonly #store: SecurityStore
  /** By principal: nobody has many. */
  readonly #rules = new Map<string, AclRow[]>()
  /** One change after the other, in the database and here. */
  readonly #changes = new Limiter({ concurrency: 1, maxWaiting: maxWaitingChanges })

  private constructor({ access, store }: { access: Access; store: SecurityStore }) {
    this.#access = access
    this.#store = store
  }

  /** Throws `DATABASE_UNAVAILABLE`. */
  static async load(deps: { access: Access; store: SecurityStore }): Promise<Authorizer> {
    const authorizer = new Authorizer(deps)
    for (const rule of await deps.store.loadAcls()) authorizer.#take(rule)
    return authorizer
  }

  /** Whether rules have an effect: somebody needs credentials. */
  get isActive(): boolean {
    return this.#access.isRequired()
  }
  get rules(): readonly AclRow[] {
    return [...this.#rules.values()].flat()
  }

  isAllowed(principal: Principal, operation: Operation, type: ResourceType, name: string): boolean {
    return this.#isGranted(principal, operation, (rule) => rule.resourceType === type && isAbout(rule, name))
  }

  /** Whether there may be a resource of this type to which the principal may do this. */
  isAllowedSomewhere(principal: Principal, operation: Operation, type: ResourceType): boolean {
    const isSome = ({ resourceType, resourceName, permission }: AclRow): boolean =>
      resourceType === type && (permission === 'allow' || resourceName === everything)
    return this.#isGranted(principal, operation, isSome)
  }

  /** Rules that are there already change nothing. Throws `LIMIT_EXCEEDED`. */
  add(rules: readonly AclRow[]): Promise<void> {
    return this.#changes.run(() => this.#add(rules))
  }

  /** Throws `LIMIT_EXCEEDED` when too many changes wait. */
  remove(rules: readonly AclRow[]): Promise<void> {
    return this.#changes.run(() => this.#remove(rules))
  }

  async #add(rules: readonly AclRow[]): Promise<void> {
    const known = new Set(this.rules.map(keyOf))
    const distinct = new Map(rules.map((rule) => [keyOf(rule), rule]))
    const added = [...distinct].filter(([key]) => !known.has(key)).map(([, rule]) => rule)
    if (added.length === 0) return
    if (known.size + added.length > maxRules) {
      throw new AppError('LIMIT_EXCEEDED', `there may be ${maxRules} access rules; delete some, or use prefixes`)
    }
    await this.#store.addAcls(added)
    for (const rule of added) this.#take(rule)
  }

  async #remove(rules: readonly AclRow[]): Promise<void> {
    if (rules.length === 0) return
    await this.#store.removeAcls(rules)
    const gone = new Set(rules.map(keyOf))
    const left = this.rules.filter((rule) => !gone.has(keyOf(rule)))
    this.#rules.clear()
    for (const rule of left) this.#take(rule)
  }

  #take(rule: AclRow): void {
    const same = this.#rules.get(rule.principal)
    if (same) same.push(rule)
    else this.#rules.set(rule.principal, [rule])
  }

  #isGranted({ user, host }: Principal, operation: Operation, isMeant: (rule: AclRow) => boolean): boolean {
    if (!this.#access.isRequired()) return true
    if (user === undefined) return false
    if (this.#access.isAdmin(user)) return true
    const isHere = (rule: AclRow): boolean => (rule.host === everything || rule.host === host) && isMeant(rule)
    const meant = [`User:${user}`, everyone].flatMap((principal) => (this.#rules.get(principal) ?? []).filter(isHere))
    const isDenied = meant.some(
      (rule) => rule.permission === 'deny' && (rule.operation === 'all' || rule.operation === operation),
    )
    if (isDenied) return false
    const granting = ['all', operation, ...(impliedBy[operation] ?? [])]
    return meant.some((rule) => rule.permission === 'allow' && granting.includes(rule.operation))
  }
}

function isAbout({ patternType, resourceName }: AclRow, name: string): boolean {
  return patternType === 'prefixed' ? name.startsWith(resourceName) : resourceName === name || resourceName === everything
}

function keyOf({ resourceType, resourceName, patternType, principal, host, operation, permission }: AclRow): string {
  return JSON.stringify([resourceType, resourceName, patternType, principal, host, operation, permission])
}
