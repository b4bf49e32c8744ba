import { AppError } from '#lib/errors.ts'

export function unknownMember(groupId: string, memberId: string): AppError {
  return new AppError('GROUP_MEMBER_UNKNOWN', `group "${groupId}" has no member "${memberId}"; join again without a member id`)
}

export function fencedMember(groupId: string, instanceId: string): AppError {
  const message = `another process has joined group "${groupId}" as instance "${instanceId}"; give each process an instance id of its own`
  return new AppError('GROUP_MEMBER_FENCED', message)
}

export function staleGeneration(groupId: string, { asked, current }: { asked: number; current: number }): AppError {
  const message = `group "${groupId}" is in generation ${current}, not ${asked}; join again`
  return new AppError('GROUP_GENERATION_STALE', message)
}

export function rebalancing(groupId: string): AppError {
  return new AppError('GROUP_REBALANCING', `group "${groupId}" is rebalancing; join again`)
}

export function protocolMismatch(groupId: string, what: string): AppError {
  return new AppError('GROUP_PROTOCOL_MISMATCH', `group "${groupId}": ${what}; give all members of a group the same assignors`)
}

export function deletedGroup(groupId: string): AppError {
  return new AppError('LOG_UNAVAILABLE', `group "${groupId}" is being deleted; repeat`)
}

export function groupNotFound(groupId: string): AppError {
  return new AppError('GROUP_NOT_FOUND', `there is no group "${groupId}"; see the list of groups`)
}

export function groupNotEmpty(groupId: string, what: string): AppError {
  return new AppError('GROUP_NOT_EMPTY', `group "${groupId}" ${what}; stop its consumers first`)
}
