import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { LogHub } from './log-hub.ts'
import type { GrpcSettings } from './settings.ts'
import type { StatusName } from './status.ts'
import type { StickyChoice } from '#eventlog/sticky-choice.ts'

/** Running totals since the start. */
export type GrpcCounters = {
  acceptedConnections: number
  refusedConnections: number
  failedLogins: number
  failedTlsHandshakes: number
  /** Connections that were ended because of what they sent. */
  brokenConnections: number
  receivedBytes: number
  sentBytes: number
  /** By path, such as `millrace.log.v1.Log/Produce`. */
  callsByMethod: Record<string, number>
  /** Calls that ended, by status. */
  endedByStatus: Partial<Record<StatusName, number>>
}

/** What all calls of one server share. */
export type GrpcContext = {
  readonly hub: LogHub
  readonly settings: GrpcSettings
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly counters: GrpcCounters
  readonly sticky: StickyChoice
  /** Messages of all calls that are not answered. */
  readonly requestBytes: ByteBudget
  /** Answers of all calls that the clients have not taken. */
  readonly answerBytes: ByteBudget
}

export function newCounters(): GrpcCounters {
  return {
    acceptedConnections: 0,
    refusedConnections: 0,
    failedLogins: 0,
    failedTlsHandshakes: 0,
    brokenConnections: 0,
    receivedBytes: 0,
    sentBytes: 0,
    callsByMethod: {},
    endedByStatus: {},
  }
}
