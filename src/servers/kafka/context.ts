import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { Authorizer } from './authorizer.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { Credentials } from './credentials.ts'
import type { LogHub } from './log-hub.ts'
import type { OnceAMinute } from './once-a-minute.ts'
import type { KafkaSettings } from './settings.ts'

/** Running totals since the start. */
export type KafkaCounters = {
  acceptedConnections: number
  refusedConnections: number
  failedLogins: number
  failedTlsHandshakes: number
  /** Connections that were ended because of what they sent. */
  brokenConnections: number
  requests: number
  /** Requests that were not carried out because of a fault of our own. */
  failedRequests: number
  receivedBytes: number
  sentBytes: number
  /** By name of the API. */
  requestsByApi: Record<string, number>
  /** By Kafka error code; one for each topic, partition or group that an answer refuses. */
  errorsByCode: Record<number, number>
}

/** What all connections of one server share. */
export type KafkaContext = {
  readonly hub: LogHub
  readonly clusterId: string
  readonly isAutoCreating: boolean
  readonly settings: KafkaSettings
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly authorizer: Authorizer
  readonly credentials: Credentials
  /** Whether clients must log in. */
  isLoginRequired(): boolean
  /** By address, what is logged of logins that failed and of connections that were ended. */
  readonly complaints: OnceAMinute
  readonly counters: KafkaCounters
  /** Requests of all connections that are not answered. */
  readonly requestBytes: ByteBudget
  /** Answers of all connections that the clients have not taken. */
  readonly answerBytes: ByteBudget
}

export function newCounters(): KafkaCounters {
  return {
    acceptedConnections: 0,
    refusedConnections: 0,
    failedLogins: 0,
    failedTlsHandshakes: 0,
    brokenConnections: 0,
    requests: 0,
    failedRequests: 0,
    receivedBytes: 0,
    sentBytes: 0,
    requestsByApi: {},
    errorsByCode: {},
  }
}
