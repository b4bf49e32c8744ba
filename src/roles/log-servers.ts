import { readFile } from 'node:fs/promises'
import type { AccessList } from '#auth/access.ts'
import type { LogAgent } from '#eventlog/agent.ts'
import { eventsTopic } from '#eventlog/platform/platform-events.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { systemTimers } from '#lib/timers.ts'
import type { GrpcServer } from '#servers/grpc/server.ts'
import type { KafkaServer } from '#servers/kafka/server.ts'
import type { Settings } from './settings.ts'

/** What both are built from. */
export type LogServerDeps = {
  readonly agent: LogAgent
  readonly settings: Settings
  readonly access: AccessList
  readonly clock: Clock
  readonly log: Logger
}

/** The event log for Kafka clients; undefined when the settings want none. */
export async function startKafka({ agent, settings, access, clock, log }: LogServerDeps): Promise<KafkaServer | undefined> {
  if (!settings.kafka.enabled) return undefined
  const { KafkaServer } = await import('#servers/kafka/server.ts')
  const { certificate, key } = settings.tls
  return await KafkaServer.listen({
    hub: agent,
    // The topic of the events is as old as the log, and another log has another.
    clusterId: agent.topics.get(eventsTopic).id,
    access,
    isAutoCreating: settings.log.autoCreateTopics,
    clock,
    timers: systemTimers,
    log,
    settings: settings.kafka,
    ...(certificate !== undefined && key !== undefined ? { tls: { certificateFile: certificate, keyFile: key } } : {}),
  })
}

/** The event log over gRPC; undefined when the settings want none. */
export async function startGrpc({ agent, settings, access, clock, log }: LogServerDeps): Promise<GrpcServer | undefined> {
  if (!settings.grpc.enabled) return undefined
  const { GrpcServer } = await import('#servers/grpc/server.ts')
  const { certificate, key } = settings.tls
  const tls =
    certificate !== undefined && key !== undefined
      ? { certificate: await readPem(certificate), key: await readPem(key) }
      : undefined
  return await GrpcServer.listen({ hub: agent, access, clock, timers: systemTimers, log, settings: settings.grpc, tls })
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `the file ${path} of [tls] cannot be read; see whether it is there`, { cause })
  }
}
