import type { Clock } from '#lib/clock.ts'
import { type AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { GroupRow, LogMetadata } from '../metadata/log-metadata.ts'
import { deletedGroup, groupNotEmpty } from './group-errors.ts'
import { GroupSaver } from './group-saver.ts'
import { groupSteps, type GroupState } from './group-states.ts'
import type { GroupSettings, JoinAnswer, MemberAssignment, SyncAnswer } from './group-types.ts'
import type { Member } from './member.ts'
import type { Members } from './members.ts'

const nothing = Buffer.alloc(0)

type Deps = {
  readonly groupId: string
  readonly members: Members
  readonly metadata: Pick<LogMetadata, 'saveGroup'>
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly settings: Pick<GroupSettings, 'initialRebalanceDelayMs'>
  /** The group is empty and was never stored: there is nothing to remember of it. */
  readonly onHollow: () => void
}

/**
 * How the generations of a group follow each other: all members join, one of them leads and gives out assignments, all get theirs. The states, and
 * what happens in which, are in `group-states.ts`.
 */
export class Generations {
  readonly #deps: Deps
  readonly #members: Members
  readonly #saver: GroupSaver
  #state: GroupState = 'Empty'
  #number = 0
  #protocolType = ''
  #protocol = ''
  #leader = ''
  /** Of the current state: the end of waiting for joins, or for syncs. */
  #timer: Disposable | undefined
  /** While a group that was empty gathers members: for how much longer that may go on, and whether somebody came since the last time. */
  #gathering: { readonly remainingMs: number; hasNewcomers: boolean } | undefined
  /** The generation whose assignment is being stored. */
  #assigning: number | undefined
  #isStored = false
  #idleSinceMs: number

  constructor(deps: Deps) {
    this.#deps = deps
    this.#members = deps.members
    this.#saver = new GroupSaver(async (row) => await deps.metadata.saveGroup(row))
    this.#idleSinceMs = deps.clock.nowMs()
  }

  get state(): GroupState {
    return this.#state
  }
  get number(): number {
    return this.#number
  }
  get protocolType(): string {
    return this.#protocolType
  }
  /** Empty: there are no members that have agreed on one. */
  get protocol(): string {
    return this.#protocol
  }
  get leader(): string {
    return this.#leader
  }
  get isStored(): boolean {
    return this.#isStored
  }
  /** When the last member left, or offsets were committed after that. */
  get idleSinceMs(): number {
    return this.#idleSinceMs
  }

  /** Goes on where the stored state ends; its members are in `members` already. */
  restore(row: GroupRow): void {
    this.#number = row.generation
    this.#protocolType = row.protocolType
    this.#protocol = row.protocol ?? ''
    this.#leader = row.leader ?? ''
    this.#isStored = true
    this.#idleSinceMs = row.updatedAtMs
    if (row.members.length > 0) this.#to('Stable')
  }

  /** Offsets were committed at this time. */
  touch(nowMs: number): void {
    this.#idleSinceMs = Math.max(this.#idleSinceMs, nowMs)
  }

  /** Throws `LOG_UNAVAILABLE` while the group is being deleted. */
  checkAlive(): void {
    if (groupSteps.newcomer[this.#state] === 'dead') throw deletedGroup(this.#deps.groupId)
  }

  /** The member was added, and waits for its first generation. */
  newcomer(protocolType: string): void {
    const step = groupSteps.newcomer[this.#state]
    this.#protocolType = protocolType
    if (this.#gathering) this.#gathering.hasNewcomers = true
    if (step === 'start') this.#gather()
    else if (step === 'restart') this.rebalance('a member joined')
    else if (step === 'gather') this.checkBarrier()
  }

  /** The member was removed. */
  loss(reason: string): void {
    const step = groupSteps.loss[this.#state]
    if (step === 'gather') this.checkBarrier()
    else if (step === 'restart') this.rebalance(reason)
  }

  /** A member id that was given out will not be used. */
  pendingLoss(): void {
    const step = groupSteps.pendingLoss[this.#state]
    if (step === 'gather') this.checkBarrier()
    else this.#checkHollow()
  }

  /** Another process has taken the place of the leader. */
  renameLeader(from: string, to: string): void {
    if (this.#leader === from) this.#leader = to
  }

  /** All members have to join again. */
  rebalance(reason: string): void {
    const { groupId, log } = this.#deps
    log.info({ groupId, generation: this.#number, members: this.#members.size, reason }, 'group is rebalancing')
    this.#to('PreparingRebalance')
    this.#members.failSyncs()
    this.#awaitJoins()
    this.checkBarrier()
  }

  /** The next generation begins as soon as all are there. */
  checkBarrier(): void {
    const isNobodyLeft = this.#members.size === 0
    const areAllThere = !this.#gathering && this.#members.pendingCount === 0 && this.#members.haveAllJoined
    if (isNobodyLeft || areAllThere) this.#completeJoin()
  }

  /** What a member is told when its generation begins, or when it asks again. */
  joinAnswer(member: Member): JoinAnswer {
    const isLeader = member.id === this.#leader && this.#state === 'CompletingRebalance'
    return {
      generation: this.#number,
      protocolType: this.#protocolType,
      protocol: this.#protocol,
      leader: this.#leader,
      memberId: member.id,
      members: isLeader ? this.#members.listFor(this.#protocol) : [],
      isAssignmentSkipped: false,
    }
  }

  syncAnswer(member: Member): SyncAnswer {
    return { protocolType: this.#protocolType, protocol: this.#protocol, assignment: member.assignment }
  }

  markSynced(member: Member): void {
    member.hasSynced = true
    if (this.#members.haveAllSynced && this.#state === 'Stable') this.#stopTimer()
  }

  /** Stores what the leader gave, and only then hands it out: what members work by outlasts the server. The first word of a leader counts. */
  async assign(assignments: readonly MemberAssignment[]): Promise<void> {
    const generation = this.#number
    if (this.#assigning === generation) return
    this.#assigning = generation
    const given = new Map(assignments.map(({ memberId, assignment }) => [memberId, Buffer.from(assignment)]))
    let error: AppError | undefined
    try {
      await this.#save((member) => given.get(member.id) ?? nothing)
    } catch (thrown) {
      error = toAppError(thrown)
    }
    if (generation !== this.#number) return
    this.#assigning = undefined
    if (error) this.#giveUp(error)
    else this.#settle(given)
  }

  /** Stores the group as it is; of a generation that is not stable only its number, since its members have nothing to go on with after a restart. */
  async store(): Promise<void> {
    await this.#save(this.#state === 'Stable' ? ({ assignment }) => assignment : undefined)
  }

  /** Nobody may join any more. Throws `GROUP_NOT_EMPTY`, and `LOG_UNAVAILABLE` while the group is being deleted already. */
  async bury(): Promise<void> {
    const { groupId } = this.#deps
    const step = groupSteps.delete[this.#state]
    if (step === 'not-empty') throw groupNotEmpty(groupId, 'has members')
    if (step === 'dead') throw deletedGroup(groupId)
    this.#to('Dead')
    this.#members.clear(deletedGroup(groupId))
    await this.#saver.idle()
  }

  /** It could not be deleted after all. */
  revive(): void {
    if (this.#state === 'Dead') this.#to('Empty')
  }

  /** Everybody who waits is told why; what is stored stays as it is. */
  async close(error: AppError): Promise<void> {
    this.#to('Dead')
    this.#stopTimer()
    this.#members.clear(error)
    await this.#saver.idle()
  }

  // Joining

  #gather(): void {
    const { initialRebalanceDelayMs } = this.#deps.settings
    this.#to('PreparingRebalance')
    this.#gathering = { remainingMs: this.#members.rebalanceTimeoutMs - initialRebalanceDelayMs, hasNewcomers: false }
    if (initialRebalanceDelayMs === 0) this.#completeJoin()
    else this.#startTimer(initialRebalanceDelayMs, () => this.#gatherMore())
  }

  #gatherMore(): void {
    const { remainingMs, hasNewcomers } = this.#gathering ?? { remainingMs: 0, hasNewcomers: false }
    if (!hasNewcomers || remainingMs <= 0) {
      this.#completeJoin()
      return
    }
    const delayMs = Math.min(this.#deps.settings.initialRebalanceDelayMs, remainingMs)
    this.#gathering = { remainingMs: remainingMs - delayMs, hasNewcomers: false }
    this.#startTimer(delayMs, () => this.#gatherMore())
  }

  #awaitJoins(): void {
    this.#startTimer(this.#members.rebalanceTimeoutMs, () => {
      const step = groupSteps.joinTimeout[this.#state]
      if (step === 'complete') this.#completeJoin()
    })
  }

  #completeJoin(): void {
    this.#stopTimer()
    this.#gathering = undefined
    for (const member of this.#members) if (!member.joining && !member.isStatic) this.#members.remove(member)
    if (this.#members.size === 0) this.#becomeEmpty()
    else if (this.#electLeader()) this.#begin()
    // Only static members are left, and none is back: they come, or their sessions end.
    else this.#awaitJoins()
  }

  /** False: nobody has joined. */
  #electLeader(): boolean {
    if (this.#members.find(this.#leader)?.joining) return true
    const first = [...this.#members].find(({ joining }) => joining !== undefined)
    if (first) this.#leader = first.id
    return first !== undefined
  }

  #begin(): void {
    this.#to('CompletingRebalance')
    this.#number += 1
    this.#protocol = this.#members.selectProtocol()
    for (const member of this.#members) {
      const { joining } = member
      member.joining = undefined
      member.isNew = false
      member.hasSynced = false
      member.assignment = nothing
      this.#members.keepAlive(member)
      joining?.answer(this.joinAnswer(member))
    }
    this.#startTimer(this.#members.rebalanceTimeoutMs, () => this.#syncTimeout())
  }

  #becomeEmpty(): void {
    this.#to('Empty')
    this.#number += 1
    this.#protocol = ''
    this.#leader = ''
    this.#idleSinceMs = this.#deps.clock.nowMs()
    if (this.#isStored || this.#saver.isBusy) void this.#storeEmptied()
    else this.#checkHollow()
  }

  /** If this fails and the process ends, the members that are gone come back with the stored state, and time out. */
  async #storeEmptied(): Promise<void> {
    const { groupId, log } = this.#deps
    try {
      await this.store()
    } catch (thrown) {
      const error = toAppError(thrown)
      log.warn({ code: error.code, err: error, groupId }, 'empty group could not be stored')
    }
  }

  // Assignments

  #settle(given: ReadonlyMap<string, Buffer>): void {
    const step = groupSteps.assigned[this.#state]
    if (step === 'none') return
    const { groupId, log } = this.#deps
    log.info({ groupId, generation: this.#number, members: this.#members.size }, 'group is stable')
    this.#to('Stable')
    for (const member of this.#members) {
      member.assignment = given.get(member.id) ?? nothing
      const { syncing } = member
      if (!syncing) continue
      member.syncing = undefined
      this.#members.keepAlive(member)
      syncing.answer(this.syncAnswer(member))
    }
    if (this.#members.haveAllSynced) this.#stopTimer()
  }

  #giveUp(error: AppError): void {
    const step = groupSteps.unassigned[this.#state]
    if (step === 'none') return
    this.#members.failSyncs(error)
    this.rebalance('the assignment could not be stored')
  }

  #syncTimeout(): void {
    const step = groupSteps.syncTimeout[this.#state]
    const silent = [...this.#members].filter(({ hasSynced }) => !hasSynced)
    if (step === 'none' || silent.length === 0) return
    for (const member of silent) this.#members.remove(member)
    this.rebalance('members did not fetch their assignment')
  }

  // The state

  #to(state: GroupState): void {
    this.#state = state
  }

  /** Without `assignmentOf`: as a group without members. */
  async #save(assignmentOf: ((member: Member) => Buffer) | undefined): Promise<void> {
    const row = {
      groupId: this.#deps.groupId,
      generation: this.#number,
      protocolType: this.#protocolType,
      protocol: assignmentOf ? this.#protocol : null,
      leader: assignmentOf ? this.#leader : null,
      members: assignmentOf ? [...this.#members].map((member) => member.toRow(assignmentOf(member))) : [],
      updatedAtMs: this.#deps.clock.nowMs(),
    }
    try {
      await this.#saver.save(row)
      this.#isStored = true
    } catch (error) {
      this.#checkHollow()
      throw error
    }
  }

  #checkHollow(): void {
    const isHollow = this.#state === 'Empty' && !this.#isStored && !this.#saver.isBusy && this.#members.pendingCount === 0
    if (isHollow) this.#deps.onHollow()
  }

  #startTimer(delayMs: number, run: () => void): void {
    this.#stopTimer()
    this.#timer = this.#deps.timers.after(delayMs, run)
  }

  #stopTimer(): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
  }
}
