import { AppError } from '#lib/errors.ts'
import { protocolMismatch } from './group-errors.ts'
import type { GroupSettings, JoinRequest, SyncRequest } from './group-types.ts'

/** A group id is part of keys in the database. */
const maxIdBytes = 1024
/** More protocols than any client has. */
const maxProtocols = 64
/** What one member may have the group keep: its metadata, and its assignment. */
const maxMemberBytes = 1_048_576
/** Of a client's own name, what becomes part of its member id. */
const maxClientIdLength = 255

/** Throws `GROUP_INVALID`. */
export function checkGroupId(groupId: string): void {
  checkText('group id', groupId)
}

/** Throws `GROUP_INVALID`, with `details.sessionTimeoutMs` when that is out of bounds, and `GROUP_PROTOCOL_MISMATCH` without any protocol. */
export function checkJoin(request: JoinRequest, { minSessionTimeoutMs, maxSessionTimeoutMs }: GroupSettings): void {
  const { groupId, instanceId, sessionTimeoutMs, protocolType, protocols } = request
  checkGroupId(groupId)
  if (instanceId !== null) checkText('instance id', instanceId)
  if (!(sessionTimeoutMs >= minSessionTimeoutMs && sessionTimeoutMs <= maxSessionTimeoutMs)) {
    const message = `group "${groupId}": a session timeout of ${sessionTimeoutMs} ms; give one from ${minSessionTimeoutMs} to ${maxSessionTimeoutMs} ms`
    throw new AppError('GROUP_INVALID', message, { details: { sessionTimeoutMs } })
  }
  if (protocolType === '' || protocols.length === 0) throw protocolMismatch(groupId, 'a member without a protocol')
  checkText('protocol type', protocolType)
  if (protocols.length > maxProtocols)
    throw invalid(`group "${groupId}": ${protocols.length} protocols; give at most ${maxProtocols}`)
  for (const { name } of protocols) checkText('protocol name', name)
  const sizeBytes = protocols.reduce((sum, { metadata }) => sum + metadata.length, 0)
  if (sizeBytes > maxMemberBytes)
    throw invalid(`group "${groupId}": member metadata of ${sizeBytes} bytes; at most ${maxMemberBytes} are kept`)
}

/** Throws `GROUP_INVALID`. */
export function checkSync({ groupId, assignments }: SyncRequest): void {
  checkGroupId(groupId)
  const large = assignments.find(({ assignment }) => assignment.length > maxMemberBytes)
  if (!large) return
  throw invalid(
    `group "${groupId}": an assignment of ${large.assignment.length} bytes; at most ${maxMemberBytes} are kept for a member`,
  )
}

/** A client's own name as it is kept: of bounded length, without what a database cannot hold. */
export function cleanClientId(clientId: string): string {
  return clientId.slice(0, maxClientIdLength).toWellFormed().replaceAll('\0', '')
}

function checkText(what: string, text: string): void {
  if (text === '') throw invalid(`an empty ${what}; give one`)
  if (Buffer.byteLength(text) > maxIdBytes)
    throw invalid(`a ${what} of ${Buffer.byteLength(text)} bytes; at most ${maxIdBytes} are allowed`)
  if (text.includes('\0')) throw invalid(`the ${what} ${JSON.stringify(text)} has a zero character; leave it out`)
}

function invalid(message: string): AppError {
  return new AppError('GROUP_INVALID', message)
}
