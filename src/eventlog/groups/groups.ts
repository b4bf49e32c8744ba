import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { LogMetadata } from '../metadata/log-metadata.ts'
import { checkGroupId, checkJoin, checkSync, cleanClientId } from './group-checks.ts'
import { groupNotEmpty, groupNotFound, staleGeneration, unknownMember } from './group-errors.ts'
import { GroupOffsets, noOffset } from './group-offsets.ts'
import type {
  CommitRequest,
  CommittedOffset,
  GroupSettings,
  GroupView,
  JoinAnswer,
  JoinRequest,
  LeaveAnswer,
  LeavingMember,
  MemberRequest,
  PartitionAnswer,
  SyncAnswer,
  SyncRequest,
  TopicPartition,
} from './group-types.ts'
import { Group, type GroupDeps } from './group.ts'

/** How often the offsets of groups that nobody uses any more are looked for. */
const expiryIntervalMs = 10 * 60_000

type Deps = {
  readonly metadata: Pick<
    LogMetadata,
    'loadGroups' | 'saveGroup' | 'deleteGroup' | 'commitOffsets' | 'loadOffsets' | 'deleteOffsets' | 'expireOffsets'
  >
  readonly clock: Clock
  readonly timers: Timers
  /** Makes member ids unique. */
  readonly newId: () => string
  readonly log: Logger
  readonly settings: GroupSettings
  readonly topicIdOf: (name: string) => string | undefined
  readonly topicNameOf: (id: string) => string | undefined
}

/**
 * The coordinator of all consumer groups, by Kafka's classic protocol. What members were told to work by is in the database before they are told, so
 * that a restart is no rebalance for members that heartbeat in time.
 *
 * All requests throw `SHUTTING_DOWN` once it is closed.
 */
export class Groups implements AsyncDisposable {
  readonly #deps: Deps
  readonly #groupDeps: GroupDeps
  readonly #groups = new Map<string, Group>()
  readonly #offsets: GroupOffsets
  #expiry: Disposable | undefined
  #expiring: Promise<void> | undefined
  #isClosed = false

  constructor(deps: Deps) {
    this.#deps = deps
    this.#offsets = new GroupOffsets(deps)
    this.#groupDeps = { ...deps, onHollow: ({ id }) => void this.#groups.delete(id) }
  }

  /** Loads the groups as they were stored; the sessions of their members begin now. To be called once, before all else. */
  async open(): Promise<void> {
    for (const row of await this.#deps.metadata.loadGroups()) this.#groups.set(row.groupId, Group.restore(row, this.#groupDeps))
    this.#scheduleExpiry()
  }

  /**
   * Takes a member in, and answers when its generation begins. Throws `GROUP_INVALID` (with `details.sessionTimeoutMs` when that is out of bounds), `GROUP_LIMIT`,
   * `GROUP_PROTOCOL_MISMATCH`, `GROUP_MEMBER_ID_REQUIRED` (with `details.memberId`), `GROUP_MEMBER_UNKNOWN`, `GROUP_MEMBER_FENCED`, `GROUP_REBALANCING`
   * (the same member has joined once more meanwhile), and `LOG_UNAVAILABLE` while the group is being deleted.
   */
  async join(request: JoinRequest): Promise<JoinAnswer> {
    this.#checkOpen()
    checkPresent(request.signal)
    checkJoin(request, this.#deps.settings)
    const group = this.#groups.get(request.groupId)
    if (!group && request.memberId !== '') throw unknownMember(request.groupId, request.memberId)
    return await (group ?? this.#create(request.groupId)).join({ ...request, clientId: cleanClientId(request.clientId) })
  }

  /**
   * Gives a member its assignment, once the leader has given them all. Throws `GROUP_INVALID`, `GROUP_MEMBER_UNKNOWN`, `GROUP_MEMBER_FENCED`,
   * `GROUP_GENERATION_STALE`, `GROUP_PROTOCOL_MISMATCH`, `GROUP_REBALANCING`, and `DATABASE_UNAVAILABLE` when the assignment could not be stored.
   */
  async sync(request: SyncRequest): Promise<SyncAnswer> {
    this.#checkOpen()
    checkPresent(request.signal)
    checkSync(request)
    return await this.#require(request).sync(request)
  }

  /** Throws `GROUP_REBALANCING` when the member has to join again, and the same as `sync` for members that are none. */
  heartbeat(request: MemberRequest): void {
    this.#checkOpen()
    checkGroupId(request.groupId)
    this.#require(request).heartbeat(request)
  }

  /** One answer for each member, in order: `GROUP_MEMBER_UNKNOWN` or `GROUP_MEMBER_FENCED` for those that could not be removed. */
  leave({ groupId, members }: { groupId: string; members: readonly LeavingMember[] }): readonly LeaveAnswer[] {
    this.#checkOpen()
    checkGroupId(groupId)
    return members.map(({ memberId, instanceId }) => {
      try {
        this.#require({ groupId, memberId }).leave({ memberId, instanceId })
        return { memberId, instanceId }
      } catch (error) {
        return { memberId, instanceId, error: toAppError(error) }
      }
    })
  }

  /**
   * Stores offsets; one answer for each, in order, with `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, `OFFSET_OUT_OF_RANGE`, or `LIMIT_EXCEEDED` (metadata
   * above 4096 bytes). Throws for all of them as `sync` does, `GROUP_LIMIT`, and `LOG_UNAVAILABLE` when too many commits wait.
   */
  async commitOffsets(request: CommitRequest): Promise<readonly PartitionAnswer[]> {
    this.#checkOpen()
    const { groupId, generation } = request
    checkGroupId(groupId)
    const { rows, answers } = this.#offsets.prepare(groupId, request.offsets)
    const known = this.#groups.get(groupId)
    if (!known && generation >= 0) throw staleGeneration(groupId, { asked: generation, current: 0 })
    known?.checkCommit(request)
    if (rows.length === 0) return answers
    const group = known ?? this.#create(groupId)
    if (!group.isStored) {
      await group.store()
      group.checkCommit(request)
    }
    group.touch(this.#deps.clock.nowMs())
    await this.#offsets.commit(rows)
    return answers
  }

  /** Offset -1 where nothing is committed, also for topics and groups that are not there. Without `partitions`: all that there is. */
  async committedOffsets(groupId: string, partitions?: readonly TopicPartition[]): Promise<readonly CommittedOffset[]> {
    this.#checkOpen()
    checkGroupId(groupId)
    if (!this.#groups.has(groupId)) return partitions?.map(noOffset) ?? []
    return await this.#offsets.committed(groupId, partitions)
  }

  describe(groupId: string): GroupView | undefined {
    return this.#groups.get(groupId)?.view()
  }

  /** By id. */
  list(): readonly GroupView[] {
    const groups = [...this.#groups.values()].map((group) => group.view())
    return groups.toSorted((a, b) => (a.groupId < b.groupId ? -1 : 1))
  }

  /** Forgets a group with its offsets. Throws `GROUP_NOT_FOUND` and `GROUP_NOT_EMPTY`. */
  async delete(groupId: string): Promise<void> {
    this.#checkOpen()
    const group = this.#groups.get(groupId)
    if (!group) throw groupNotFound(groupId)
    await this.#discard(group)
  }

  /**
   * Forgets offsets; one answer for each, in order, with `TOPIC_NOT_FOUND`, or `GROUP_NOT_EMPTY` for a topic that members read. Throws `GROUP_NOT_FOUND`,
   * and `GROUP_NOT_EMPTY` when it is not known what the members read.
   */
  async deleteOffsets(groupId: string, partitions: readonly TopicPartition[]): Promise<readonly PartitionAnswer[]> {
    this.#checkOpen()
    const group = this.#groups.get(groupId)
    if (!group || group.state === 'Dead') throw groupNotFound(groupId)
    const hasMembers = group.state !== 'Empty'
    if (hasMembers && group.protocolType !== 'consumer') throw groupNotEmpty(groupId, 'has members')
    const refusalOf = (topic: string): AppError | undefined =>
      hasMembers && group.isSubscribed(topic) ? groupNotEmpty(groupId, `has members that read "${topic}"`) : undefined
    return await this.#offsets.remove(groupId, { partitions, refusalOf })
  }

  /** Answers everybody who waits with `SHUTTING_DOWN`. Members, generations and offsets stay as they are, for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#expiry?.[Symbol.dispose]()
    await Promise.all([...this.#groups.values()].map(async (group) => await group.close(closed())))
    await this.#offsets.settled()
    await this.#expiring
  }

  #checkOpen(): void {
    if (this.#isClosed) throw closed()
  }

  #require({ groupId, memberId }: { groupId: string; memberId: string }): Group {
    const group = this.#groups.get(groupId)
    if (group) return group
    throw unknownMember(groupId, memberId)
  }

  #create(groupId: string): Group {
    const { maxGroups } = this.#deps.settings
    if (this.#groups.size >= maxGroups) {
      throw new AppError('GROUP_LIMIT', `there are ${maxGroups} groups, the most allowed; delete some that are no longer used`)
    }
    const group = new Group(groupId, this.#groupDeps)
    this.#groups.set(groupId, group)
    return group
  }

  async #discard(group: Group): Promise<void> {
    await group.bury()
    try {
      await this.#offsets.settled()
      await this.#deps.metadata.deleteGroup(group.id)
    } catch (error) {
      group.revive()
      throw error
    }
    this.#offsets.forget(group.id)
    this.#groups.delete(group.id)
  }

  // Expiry

  #scheduleExpiry(): void {
    this.#expiry = this.#deps.timers.after(expiryIntervalMs, () => {
      this.#expiring = this.#expire()
    })
  }

  async #expire(): Promise<void> {
    try {
      await this.#expireOffsets()
    } catch (thrown) {
      const error = toAppError(thrown)
      this.#deps.log.warn({ code: error.code, err: error }, 'offsets of unused groups could not be removed; trying again later')
    }
    if (!this.#isClosed) this.#scheduleExpiry()
  }

  /** Removes offsets that were committed long ago to groups that have been empty for long, and groups of which nothing is left. */
  async #expireOffsets(): Promise<void> {
    const { metadata, clock, settings, log } = this.#deps
    const committedBeforeMs = clock.nowMs() - settings.offsetRetentionMs
    const count = await metadata.expireOffsets({ committedBeforeMs })
    if (count > 0) log.info({ count }, 'offsets of unused groups were removed')
    const isUnused = ({ state, idleSinceMs }: Group): boolean => state === 'Empty' && idleSinceMs < committedBeforeMs
    for (const group of [...this.#groups.values()].filter(isUnused)) {
      if (this.#isClosed) return
      this.#offsets.forget(group.id)
      const lastCommitMs = await this.#offsets.lastCommitMs(group.id)
      if (lastCommitMs !== undefined) group.touch(lastCommitMs)
      else if (isUnused(group)) await this.#discard(group)
    }
  }
}

function checkPresent(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AppError('TIMEOUT', 'the client went away before its group had an answer')
}

function closed(): AppError {
  return new AppError('SHUTTING_DOWN', 'the coordinator of consumer groups is stopping; join again at the next one')
}
