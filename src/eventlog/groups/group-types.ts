import type { AppError } from '#lib/errors.ts'
import type { GroupState } from './group-states.ts'

/** Bounds and waits of consumer groups. */
export type GroupSettings = {
  /** A group that was empty waits this long for more members before its first assignment, and again while they keep coming; 0: not at all. */
  readonly initialRebalanceDelayMs: number
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  readonly maxGroups: number
  /** Of one group, those who were only given a member id included. */
  readonly maxMembers: number
  /** A group that had no member and no commit for this long is forgotten with its offsets. */
  readonly offsetRetentionMs: number
}

/** An assignment protocol that a member can follow. `metadata` belongs to the clients; the group only passes it on. */
export type MemberProtocol = { readonly name: string; readonly metadata: Buffer }

export type JoinRequest = {
  readonly groupId: string
  /** Empty: a new member. */
  readonly memberId: string
  /** Names a static member, whose place outlasts its process. */
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  /** Negative: the same as the session timeout. */
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  /** Best first. */
  readonly protocols: readonly MemberProtocol[]
  /** A new dynamic member is sent away with an id first, so that a lost answer leaves no ghost behind (JoinGroup v4). */
  readonly mustKnowMemberId: boolean
  /** The client knows `isAssignmentSkipped` (JoinGroup v9). Without, a static leader that came back is not told that it leads. */
  readonly canSkipAssignment?: boolean
  /** Fires when the connection is gone. */
  readonly signal?: AbortSignal
}

export type JoinedMember = { readonly memberId: string; readonly instanceId: string | null; readonly metadata: Buffer }

export type JoinAnswer = {
  readonly generation: number
  readonly protocolType: string
  readonly protocol: string
  readonly leader: string
  readonly memberId: string
  /** For the leader; empty for all others. */
  readonly members: readonly JoinedMember[]
  /** The leader of a stable group came back: its assignment still holds, it must not make another. */
  readonly isAssignmentSkipped: boolean
}

export type MemberAssignment = { readonly memberId: string; readonly assignment: Buffer }

/** Who asks, as every request of a member says. */
export type MemberRequest = {
  readonly groupId: string
  readonly memberId: string
  readonly instanceId: string | null
  readonly generation: number
}

export type SyncRequest = MemberRequest & {
  /** Null: not said, not checked. */
  readonly protocolType: string | null
  readonly protocol: string | null
  /** From the leader; others send none. */
  readonly assignments: readonly MemberAssignment[]
  readonly signal?: AbortSignal
}
export type SyncAnswer = { readonly protocolType: string; readonly protocol: string; readonly assignment: Buffer }

/** An empty `memberId` with an instance id removes the static member by its name. */
export type LeavingMember = { readonly memberId: string; readonly instanceId: string | null }
export type LeaveAnswer = LeavingMember & { readonly error?: AppError }

export type TopicPartition = { readonly topic: string; readonly partition: number }
export type PartitionAnswer = TopicPartition & { readonly error?: AppError }

export type NewOffset = TopicPartition & { readonly offset: number; readonly leaderEpoch: number; readonly metadata: string }
/** `generation` -1 and no member id: a consumer that only keeps its offsets here. */
export type CommitRequest = MemberRequest & { readonly offsets: readonly NewOffset[] }
/** `offset` -1: nothing is committed. */
export type CommittedOffset = NewOffset

export type MemberView = {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** For the protocol that the group follows; empty while there is none. */
  readonly metadata: Buffer
  readonly assignment: Buffer
}
export type GroupView = {
  readonly groupId: string
  readonly state: GroupState
  readonly generation: number
  readonly protocolType: string
  /** Empty: none yet. */
  readonly protocol: string
  readonly members: readonly MemberView[]
}
