import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { GroupRow, LogMetadata } from '../metadata/log-metadata.ts'
import { Generations } from './generations.ts'
import { deletedGroup, fencedMember, protocolMismatch, rebalancing, staleGeneration, unknownMember } from './group-errors.ts'
import { groupSteps, type GroupState } from './group-states.ts'
import type {
  GroupSettings,
  GroupView,
  JoinAnswer,
  JoinRequest,
  LeavingMember,
  MemberRequest,
  SyncAnswer,
  SyncRequest,
} from './group-types.ts'
import { Member } from './member.ts'
import { Members } from './members.ts'
import { subscribedTopics } from './subscription.ts'
import { Waiting } from './waiting.ts'

export type GroupDeps = {
  readonly metadata: Pick<LogMetadata, 'saveGroup'>
  readonly clock: Clock
  readonly timers: Timers
  readonly newId: () => string
  readonly log: Logger
  readonly settings: GroupSettings
  /** The group is empty and was never stored: there is nothing to remember of it. */
  readonly onHollow: (group: Group) => void
}

/** One consumer group: who is a member, and which request of whom is right at the time. What follows from it is up to `Generations`. */
export class Group {
  readonly id: string
  readonly #newId: () => string
  readonly #maxMembers: number
  readonly #members: Members
  readonly #generations: Generations

  constructor(id: string, { newId, timers, onHollow, settings, ...rest }: GroupDeps) {
    this.id = id
    this.#newId = newId
    this.#maxMembers = settings.maxMembers
    this.#members = new Members({
      groupId: id,
      timers,
      onSilent: (member) => this.#remove(member, 'a member was silent for too long'),
      onUnused: () => this.#generations.pendingLoss(),
    })
    const onEmpty = (): void => onHollow(this)
    this.#generations = new Generations({ ...rest, groupId: id, members: this.#members, timers, settings, onHollow: onEmpty })
  }

  /** The group as it was stored. Members that are heard of in time go on as if nothing had happened. */
  static restore(row: GroupRow, deps: GroupDeps): Group {
    const group = new Group(row.groupId, deps)
    for (const memberRow of row.members) {
      const member = Member.restore(memberRow)
      group.#members.add(member)
      group.#members.keepAlive(member)
    }
    group.#generations.restore(row)
    return group
  }

  get state(): GroupState {
    return this.#generations.state
  }
  get isStored(): boolean {
    return this.#generations.isStored
  }
  get protocolType(): string {
    return this.#generations.protocolType
  }
  /** When the last member left, or offsets were committed after that. */
  get idleSinceMs(): number {
    return this.#generations.idleSinceMs
  }

  view(): GroupView {
    const { state, number: generation, protocolType, protocol } = this.#generations
    const members = [...this.#members].map((member) => ({
      memberId: member.id,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: member.metadataFor(protocol),
      assignment: member.assignment,
    }))
    return { groupId: this.id, state, generation, protocolType, protocol, members }
  }

  /** Whether a member reads this topic, as far as can be known. */
  isSubscribed(topic: string): boolean {
    for (const { protocols } of this.#members) {
      const subscriptions = protocols.map(({ metadata }) => subscribedTopics(metadata))
      if (subscriptions.some((topics) => topics?.has(topic) ?? true)) return true
    }
    return false
  }

  async join(request: JoinRequest): Promise<JoinAnswer> {
    const { memberId, instanceId } = request
    this.#generations.checkAlive()
    if (memberId === '') return await this.#joinWithoutId(request)
    if (instanceId === null && this.#members.hasPending(memberId)) {
      this.#checkProtocols(request)
      this.#members.takePending(memberId)
      return await this.#add(memberId, request)
    }
    const member = this.#members.require(request)
    this.#checkProtocols(request, member)
    return await this.#joinAgain(member, request)
  }

  async sync(request: SyncRequest): Promise<SyncAnswer> {
    const step = groupSteps.sync[this.state]
    if (step === 'unknown') throw unknownMember(this.id, request.memberId)
    const member = this.#requireCurrent(request)
    this.#checkProtocol(request)
    if (step === 'rebalancing') throw rebalancing(this.id)
    if (step === 'give') {
      this.#members.keepAlive(member)
      this.#generations.markSynced(member)
      return this.#generations.syncAnswer(member)
    }
    const answer = this.#waitForAssignment(member, request.signal)
    if (member.id === this.#generations.leader) void this.#generations.assign(request.assignments)
    return await answer
  }

  heartbeat(request: MemberRequest): void {
    const step = groupSteps.heartbeat[this.state]
    if (step === 'unknown') throw unknownMember(this.id, request.memberId)
    this.#members.keepAlive(this.#requireCurrent(request))
    if (step === 'rebalancing') throw rebalancing(this.id)
  }

  /** Throws unless whoever asks may commit offsets now. */
  checkCommit(request: MemberRequest): void {
    if (request.generation < 0) {
      const simple = groupSteps.simpleCommit[this.state]
      if (simple === 'alive') return
      if (simple === 'dead') throw deletedGroup(this.id)
    }
    const step = groupSteps.commit[this.state]
    if (step === 'unknown') throw unknownMember(this.id, request.memberId)
    const member = this.#requireCurrent(request)
    if (step === 'rebalancing') throw rebalancing(this.id)
    this.#members.keepAlive(member)
  }

  /** Offsets were committed at this time. */
  touch(nowMs: number): void {
    this.#generations.touch(nowMs)
  }

  /** Throws `GROUP_MEMBER_UNKNOWN` or `GROUP_MEMBER_FENCED`. */
  leave({ memberId, instanceId }: LeavingMember): void {
    if (this.#members.takePending(memberId)) {
      this.#generations.pendingLoss()
      return
    }
    const named = memberId === '' && instanceId !== null ? this.#members.findInstance(instanceId) : undefined
    const member = named ?? this.#members.require({ memberId, instanceId })
    if (member.isStatic && instanceId === null) {
      const message = `member "${memberId}" of group "${this.id}" is static and stays until its session ends; name its instance id to remove it`
      throw new AppError('GROUP_MEMBER_UNKNOWN', message)
    }
    this.#remove(member, 'a member left')
  }

  /** Stores the group as it is; of a generation that is not stable only its number. */
  async store(): Promise<void> {
    await this.#generations.store()
  }
  /** Nobody may join any more. Throws `GROUP_NOT_EMPTY`, and `LOG_UNAVAILABLE` while the group is being deleted already. */
  async bury(): Promise<void> {
    await this.#generations.bury()
  }
  /** It could not be deleted after all. */
  revive(): void {
    this.#generations.revive()
  }
  /** Everybody who waits is told why; what is stored stays as it is. */
  async close(error: AppError): Promise<void> {
    await this.#generations.close(error)
  }

  async #joinWithoutId(request: JoinRequest): Promise<JoinAnswer> {
    const { instanceId, clientId, mustKnowMemberId, sessionTimeoutMs } = request
    const former = instanceId === null ? undefined : this.#members.findInstance(instanceId)
    this.#checkProtocols(request, former)
    const memberId = `${instanceId ?? clientId}-${this.#newId()}`
    if (former) return await this.#takeOver(former, { memberId, request })
    this.#checkRoom()
    if (instanceId !== null || !mustKnowMemberId) return await this.#add(memberId, request)
    this.#members.addPending(memberId, sessionTimeoutMs)
    throw new AppError('GROUP_MEMBER_ID_REQUIRED', `join group "${this.id}" again as member "${memberId}"`, {
      details: { memberId },
    })
  }

  async #add(memberId: string, request: JoinRequest): Promise<JoinAnswer> {
    const member = new Member(memberId, request.instanceId)
    member.update(request)
    this.#members.add(member)
    const { promise } = this.#waitForGeneration(member, request.signal)
    this.#generations.newcomer(request.protocolType)
    return await promise
  }

  async #joinAgain(member: Member, request: JoinRequest): Promise<JoinAnswer> {
    const isLeader = member.id === this.#generations.leader
    const again = isLeader ? 'leaderRejoin' : 'rejoin'
    const event = member.hasSameProtocols(request.protocols) ? again : 'change'
    const step = groupSteps[event][this.state]
    if (step === 'unknown') throw unknownMember(this.id, member.id)
    member.update(request)
    if (step === 'repeat') {
      this.#members.keepAlive(member)
      return this.#generations.joinAnswer(member)
    }
    const { promise } = this.#waitForGeneration(member, request.signal)
    if (step === 'gather') this.#generations.checkBarrier()
    else this.#generations.rebalance(event === 'change' ? 'a member changed its metadata' : 'the leader joined again')
    return await promise
  }

  /** Another process of a static member takes its place: its id is new, its assignment stays. */
  async #takeOver(former: Member, { memberId, request }: { memberId: string; request: JoinRequest }): Promise<JoinAnswer> {
    const step = groupSteps.takeover[this.state]
    if (step === 'unknown') throw unknownMember(this.id, former.id)
    const member = former.replacedBy(memberId)
    member.update(request)
    this.#members.remove(former, fencedMember(this.id, former.instanceId ?? ''))
    this.#members.add(member)
    const formerLeader = this.#generations.leader
    this.#generations.renameLeader(former.id, memberId)
    const waiting = this.#waitForGeneration(member, request.signal)
    if (step === 'gather') this.#generations.checkBarrier()
    else if (step === 'restart') this.#generations.rebalance('a static member came back before the assignment')
    else if (!this.#keepsAssignment(former, member))
      this.#generations.rebalance('a static member came back with another subscription')
    else void this.#adopt(member, { waiting, formerLeader, canSkip: request.canSkipAssignment ?? false })
    return await waiting.promise
  }

  /** Whether nothing that an assignment depends on has changed with the process. */
  #keepsAssignment(former: Member, member: Member): boolean {
    const { protocol, protocolType } = this.#generations
    if (this.#members.selectProtocol() !== protocol) return false
    if (protocolType !== 'consumer') return true
    const before = subscribedTopics(former.metadataFor(protocol))
    const after = subscribedTopics(member.metadataFor(protocol))
    return before === undefined || after === undefined || before.symmetricDifference(after).size === 0
  }

  /** Answers a static member that came back, once that is stored: a server that forgot its new id would fence it off. */
  async #adopt(
    member: Member,
    { waiting, formerLeader, canSkip }: { waiting: Waiting<JoinAnswer>; formerLeader: string; canSkip: boolean },
  ): Promise<void> {
    let error: AppError | undefined
    try {
      await this.store()
    } catch (thrown) {
      error = toAppError(thrown)
    }
    // If a rebalance has begun meanwhile, the member waits for the next generation with all others.
    if (member.joining !== waiting || this.state !== 'Stable') return
    member.joining = undefined
    this.#members.keepAlive(member)
    const answer = this.#generations.joinAnswer(member)
    if (error) waiting.fail(error)
    else if (answer.leader !== member.id) waiting.answer(answer)
    else if (canSkip) waiting.answer({ ...answer, members: this.#members.listFor(answer.protocol), isAssignmentSkipped: true })
    else waiting.answer({ ...answer, leader: formerLeader })
  }

  #waitForGeneration(member: Member, signal: AbortSignal | undefined): Waiting<JoinAnswer> {
    member.failWaits(rebalancing(this.id))
    const waiting = new Waiting<JoinAnswer>(signal, (ended) => {
      if (member.joining === ended) this.#joinerGone(member)
    })
    member.joining = waiting
    this.#members.keepAlive(member)
    return waiting
  }

  /** A newcomer does not know its id, or will not miss it; any other member may come back with its own until its session ends. */
  #joinerGone(member: Member): void {
    member.joining = undefined
    if (member.isNew && !member.isStatic) this.#remove(member, 'a new member went away')
    else this.#members.keepAlive(member)
  }

  #waitForAssignment(member: Member, signal: AbortSignal | undefined): Promise<SyncAnswer> {
    member.failWaits(rebalancing(this.id))
    const waiting = new Waiting<SyncAnswer>(signal, (ended) => {
      if (member.syncing !== ended) return
      member.syncing = undefined
      member.hasSynced = false
      this.#members.keepAlive(member)
    })
    member.syncing = waiting
    this.#members.keepAlive(member)
    this.#generations.markSynced(member)
    return waiting.promise
  }

  #remove(member: Member, reason: string): void {
    this.#members.remove(member)
    this.#generations.loss(reason)
  }

  #requireCurrent(request: MemberRequest): Member {
    const member = this.#members.require(request)
    const current = this.#generations.number
    if (member.isNew || request.generation !== current) throw staleGeneration(this.id, { asked: request.generation, current })
    return member
  }

  #checkRoom(): void {
    const count = this.#members.size + this.#members.pendingCount
    if (count < this.#maxMembers) return
    throw new AppError('GROUP_LIMIT', `group "${this.id}" has ${count} members, the most allowed; use more groups`)
  }

  #checkProtocols({ protocolType, protocols }: JoinRequest, member?: Member): void {
    if (this.#members.size === 0) return
    const { protocolType: current } = this.#generations
    if (protocolType !== current) throw protocolMismatch(this.id, `it is of type "${current}", not "${protocolType}"`)
    const names = protocols.map(({ name }) => name)
    if (!this.#members.share(names, member)) throw protocolMismatch(this.id, `not all members know one of ${names.join(', ')}`)
  }

  #checkProtocol({ protocolType, protocol }: SyncRequest): void {
    const { protocolType: currentType, protocol: current } = this.#generations
    if (protocolType !== null && protocolType !== currentType) {
      throw protocolMismatch(this.id, `it is of type "${currentType}", not "${protocolType}"`)
    }
    if (protocol !== null && protocol !== current) throw protocolMismatch(this.id, `it follows "${current}", not "${protocol}"`)
  }
}
