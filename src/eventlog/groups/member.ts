import type { AppError } from '#lib/errors.ts'
import type { GroupMemberRow } from '../metadata/log-metadata.ts'
import type { JoinAnswer, JoinRequest, MemberProtocol, SyncAnswer } from './group-types.ts'
import type { Waiting } from './waiting.ts'

const nothing = Buffer.alloc(0)

/** A member of a group, as its last join said, with what it waits for. */
export class Member {
  readonly id: string
  readonly instanceId: string | null
  clientId = ''
  clientHost = ''
  sessionTimeoutMs = 0
  rebalanceTimeoutMs = 0
  protocols: readonly MemberProtocol[] = []
  /** Of the last stable generation. */
  assignment: Buffer = nothing
  /** It has not been part of a generation yet. */
  isNew = true
  /** It has asked for the assignment of the current generation. */
  hasSynced = false
  joining: Waiting<JoinAnswer> | undefined
  syncing: Waiting<SyncAnswer> | undefined
  /** Ends the membership of whoever stays silent. */
  session: Disposable | undefined

  constructor(id: string, instanceId: string | null) {
    this.id = id
    this.instanceId = instanceId
  }

  /** A member as the database remembers it: part of its generation, with its assignment. */
  static restore(row: GroupMemberRow): Member {
    const member = new Member(row.memberId, row.instanceId)
    const { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols, assignment } = row
    return Object.assign(member, {
      clientId,
      clientHost,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocols,
      assignment,
      isNew: false,
      hasSynced: true,
    })
  }

  get isStatic(): boolean {
    return this.instanceId !== null
  }

  /** Takes over what a join says; the bytes are copied, since they may be a small part of a big message. */
  update(request: JoinRequest): void {
    this.clientId = request.clientId
    this.clientHost = request.clientHost
    this.sessionTimeoutMs = request.sessionTimeoutMs
    this.rebalanceTimeoutMs = request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs
    this.protocols = request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }))
  }

  /** The same member in another process. */
  replacedBy(id: string): Member {
    const { assignment, isNew, hasSynced } = this
    return Object.assign(new Member(id, this.instanceId), { assignment, isNew, hasSynced })
  }

  hasSameProtocols(protocols: readonly MemberProtocol[]): boolean {
    if (protocols.length !== this.protocols.length) return false
    return this.protocols.every(({ name, metadata }, index) => {
      const other = protocols[index]
      return other?.name === name && other.metadata.equals(metadata)
    })
  }

  /** Empty when it does not know the protocol. */
  metadataFor(protocol: string): Buffer {
    return this.protocols.find(({ name }) => name === protocol)?.metadata ?? nothing
  }

  failWaits(error: AppError): void {
    this.joining?.fail(error)
    this.syncing?.fail(error)
    this.joining = undefined
    this.syncing = undefined
  }

  toRow(assignment: Buffer): GroupMemberRow {
    const { instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = this
    return { memberId: this.id, instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols, assignment }
  }
}
