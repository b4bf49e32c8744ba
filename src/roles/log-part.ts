import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { LogAgent } from '#eventlog/agent.ts'
import type { LogObserver } from '#eventlog/append-run.ts'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import { PlatformEvents } from '#eventlog/platform/platform-events.ts'
import { realDisk } from '#eventlog/wal/real-disk.ts'
import type { Clock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import { systemTimers } from '#lib/timers.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { Database } from '#store/sql/schema.ts'
import type { Settings } from './settings.ts'

type Deps = {
  readonly settings: Settings
  readonly database: Database
  readonly objects: ObjectStore
  readonly observer: LogObserver
  readonly clock: Clock
  readonly log: Logger
}

/** The event log of this node. */
export function openLogAgent({ settings, database, objects, observer, clock, log }: Deps): Promise<LogAgent> {
  const walDirectory = settings.log.walDirectory ?? join(settings.server.dataDirectory, 'wal')
  return LogAgent.open({
    settings: settings.log,
    metadata: sqlLogMetadata(database),
    objects,
    walDirectory: settings.log.walEnabled ? walDirectory : undefined,
    disk: realDisk,
    clock,
    timers: systemTimers,
    random: Math.random,
    newId: () => newId(clock.nowMs()),
    newUuid: randomUUID,
    observer,
    log,
  })
}

/** What happens here goes into the log. */
export function openPlatformEvents(
  agent: LogAgent,
  { settings, clock, log }: Omit<Deps, 'database' | 'objects' | 'observer'>,
): Promise<PlatformEvents> {
  return PlatformEvents.open({
    agent,
    source: '/millrace',
    retentionMs: Math.round(settings.log.eventRetentionHours * 3_600_000),
    clock,
    timers: systemTimers,
    newId: () => newId(clock.nowMs()),
    random: Math.random,
    log,
  })
}
