import { readAssignment, type AssignedPartition } from '#formats/kafka/member-assignment.ts'
import type { GroupOffset, GroupSummary, GroupView } from './log-contract.ts'
import type { CommittedOffset, LogGroup, TopicsHub } from './log-hub.ts'

/** A group as JSON, without members and offsets. */
export function groupSummary({ groupId, state, generation, protocolType, protocol, members }: LogGroup): GroupSummary {
  return {
    group: groupId,
    state,
    generation,
    protocolType,
    ...(protocol === '' ? {} : { protocol }),
    memberCount: members.length,
  }
}

/** A group as JSON: who reads what, and how far behind. Partitions of topics that are gone are left out. */
export function groupView(group: LogGroup, committed: readonly CommittedOffset[], topics: Pick<TopicsHub, 'find'>): GroupView {
  const members = group.members.map(({ memberId, instanceId, clientId, clientHost, assignment }) => ({
    memberId,
    ...(instanceId === null ? {} : { instanceId }),
    clientId,
    clientHost,
    partitions: group.protocolType === 'consumer' ? readAssignment(assignment) : [],
  }))
  const readers = new Map(members.flatMap((member) => member.partitions.map((one) => [keyOf(one), member.memberId])))
  const commits = new Map(committed.map((one) => [keyOf(one), one]))
  const places = new Map([...committed, ...members.flatMap(({ partitions }) => partitions)].map((one) => [keyOf(one), one]))
  const offsets = [...places].flatMap(([key, place]) => {
    const offset = groupOffset(place, { commit: commits.get(key), memberId: readers.get(key) }, topics)
    return offset ? [offset] : []
  })
  offsets.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
  return { ...groupSummary(group), members, offsets, lag: offsets.reduce((sum, { lag }) => sum + lag, 0) }
}

type Known = { readonly commit: CommittedOffset | undefined; readonly memberId: string | undefined }

function groupOffset(
  place: AssignedPartition,
  { commit, memberId }: Known,
  topics: Pick<TopicsHub, 'find'>,
): GroupOffset | undefined {
  const { topic, partition } = place
  const found = topics.find(topic)?.partitions[partition]
  if (!found) return undefined
  const { logStart, highWatermark: endOffset } = found
  return {
    topic,
    partition,
    ...(commit ? { committedOffset: commit.offset } : {}),
    ...(commit && commit.metadata !== '' ? { metadata: commit.metadata } : {}),
    endOffset,
    lag: Math.max(0, endOffset - Math.max(commit?.offset ?? 0, logStart)),
    ...(memberId === undefined ? {} : { memberId }),
  }
}

function keyOf({ topic, partition }: AssignedPartition): string {
  return `${topic}/${partition}`
}
