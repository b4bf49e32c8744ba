import type { AppError } from '#lib/errors.ts'
import type { Timers } from '#lib/timers.ts'
import { fencedMember, rebalancing, unknownMember } from './group-errors.ts'
import type { JoinedMember, LeavingMember } from './group-types.ts'
import type { Member } from './member.ts'

/** A new member that waits longer than this for its first generation has to join again: its client may be long gone. */
const newMemberWaitMs = 5 * 60_000

type Deps = {
  readonly groupId: string
  readonly timers: Timers
  /** A member has not been heard of for as long as its session lasts. */
  readonly onSilent: (member: Member) => void
  /** A member id that was given out was not used in time. */
  readonly onUnused: () => void
}

/** The members of one group in the order in which they came, with their sessions; and the member ids that wait for their first join. */
export class Members implements Iterable<Member> {
  readonly #deps: Deps
  readonly #byId = new Map<string, Member>()
  readonly #byInstance = new Map<string, Member>()
  readonly #pending = new Map<string, Disposable>()

  constructor(deps: Deps) {
    this.#deps = deps
  }

  get size(): number {
    return this.#byId.size
  }
  get pendingCount(): number {
    return this.#pending.size
  }
  [Symbol.iterator](): Iterator<Member> {
    return this.#byId.values()
  }
  find(id: string): Member | undefined {
    return this.#byId.get(id)
  }
  findInstance(instanceId: string): Member | undefined {
    return this.#byInstance.get(instanceId)
  }

  /** The member that asks. Throws `GROUP_MEMBER_UNKNOWN`, and `GROUP_MEMBER_FENCED` when another process has its instance id. */
  require({ memberId, instanceId }: LeavingMember): Member {
    const { groupId } = this.#deps
    const holder = instanceId === null ? undefined : this.#byInstance.get(instanceId)
    if (holder && holder.id !== memberId) throw fencedMember(groupId, holder.instanceId ?? '')
    const member = instanceId === null ? this.#byId.get(memberId) : holder
    if (!member) throw unknownMember(groupId, memberId)
    return member
  }

  add(member: Member): void {
    this.#byId.set(member.id, member)
    if (member.instanceId !== null) this.#byInstance.set(member.instanceId, member)
  }

  /** Ends its session, and fails what it waits for. */
  remove(member: Member, error: AppError = unknownMember(this.#deps.groupId, member.id)): void {
    this.#byId.delete(member.id)
    if (member.instanceId !== null) this.#byInstance.delete(member.instanceId)
    member.failWaits(error)
    member.session?.[Symbol.dispose]()
  }

  /** All of them, and the ids that were given out. */
  clear(error: AppError): void {
    for (const id of this.#pending.keys()) this.takePending(id)
    for (const member of this.#byId.values()) this.remove(member, error)
  }

  /** The session of a member begins anew. While it waits for an answer, its connection stands for it. */
  keepAlive(member: Member): void {
    member.session?.[Symbol.dispose]()
    const delayMs = sessionMs(member)
    member.session = delayMs === undefined ? undefined : this.#deps.timers.after(delayMs, () => this.#deps.onSilent(member))
  }

  /** Whoever waits for an assignment will not get one. */
  failSyncs(error: AppError = rebalancing(this.#deps.groupId)): void {
    for (const member of this) {
      if (!member.syncing) continue
      member.syncing.fail(error)
      member.syncing = undefined
      this.keepAlive(member)
    }
  }

  /** Keeps a place for a member id that was given out. */
  addPending(id: string, timeoutMs: number): void {
    const timer = this.#deps.timers.after(timeoutMs, () => {
      if (this.#pending.delete(id)) this.#deps.onUnused()
    })
    this.#pending.set(id, timer)
  }
  hasPending(id: string): boolean {
    return this.#pending.has(id)
  }
  /** False: there was no such id. */
  takePending(id: string): boolean {
    this.#pending.get(id)?.[Symbol.dispose]()
    return this.#pending.delete(id)
  }

  get haveAllJoined(): boolean {
    for (const member of this) if (!member.joining) return false
    return true
  }
  get haveAllSynced(): boolean {
    for (const member of this) if (!member.hasSynced) return false
    return true
  }
  /** The longest that one of them allows for joining again. */
  get rebalanceTimeoutMs(): number {
    let longestMs = 0
    for (const member of this) longestMs = Math.max(longestMs, member.rebalanceTimeoutMs)
    return longestMs
  }

  /** For the leader, which makes the assignment out of them. */
  listFor(protocol: string): JoinedMember[] {
    return [...this].map((member) => ({
      memberId: member.id,
      instanceId: member.instanceId,
      metadata: member.metadataFor(protocol),
    }))
  }

  /** Whether all members but `except` know one of these protocols in common. */
  share(names: readonly string[], except?: Member): boolean {
    const common = new Set(names)
    for (const member of this) if (member !== except) keepKnown(common, member)
    return common.size > 0
  }

  /** The protocol that all know and most like best; of equals, the one that the earliest member likes better. Empty: they share none. */
  selectProtocol(): string {
    const [first] = this
    const common = new Set(first?.protocols.map(({ name }) => name))
    for (const member of this) keepKnown(common, member)
    const votes = new Map([...common].map((name) => [name, 0]))
    for (const { protocols } of this) {
      const choice = protocols.find(({ name }) => common.has(name))
      if (choice) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
    }
    let best = ''
    for (const [name, count] of votes) if (count > (votes.get(best) ?? 0)) best = name
    return best
  }
}

/** Undefined: it may take as long as it takes. */
function sessionMs({ joining, syncing, isNew, sessionTimeoutMs }: Member): number | undefined {
  if (joining) return isNew ? newMemberWaitMs : undefined
  return syncing ? undefined : sessionTimeoutMs
}

function keepKnown(names: Set<string>, { protocols }: Member): void {
  for (const name of names) if (!protocols.some((protocol) => protocol.name === name)) names.delete(name)
}
